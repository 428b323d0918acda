package proxy

import (
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"paygate/proxy/announce"
	"paygate/units"
)

// knownTorrents is how many torrents are remembered from handshakes, beside those of the catalog.
const knownTorrents = 4096

// known keeps the torrents for which an encrypted handshake may be: those that the catalog has, and those that the client
// itself has announced, or named or answered to in plain handshakes. What only strangers ask for is not among them.
type known struct {
	catalog Catalog
	seen    *lru.Cache[units.InfoHash, struct{}]
	mu      sync.Mutex // of the writers of list
	list    atomic.Pointer[[]units.InfoHash]
}

func newKnown(c Catalog) *known {
	seen, err := lru.New[units.InfoHash, struct{}](knownTorrents)
	if err != nil {
		panic("proxy: lru refuses a constant size: " + err.Error())
	}
	k := &known{catalog: c, seen: seen}
	k.list.Store(&[]units.InfoHash{})
	return k
}

// add remembers a torrent that the client has.
func (k *known) add(h units.InfoHash) {
	if _, ok := k.seen.Get(h); ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen.Add(h, struct{}{})
	list := k.seen.Keys()
	k.list.Store(&list)
}

// torrents lists all that are known, in two lists that nobody changes any more, and says whether there are any.
func (k *known) torrents() (lists [][]units.InfoHash, any bool) {
	lists = [][]units.InfoHash{*k.list.Load(), nil}
	if k.catalog != nil {
		lists[1] = k.catalog.InfoHashes()
	}
	return lists, len(lists[0])+len(lists[1]) > 0
}

// overhear appends to dst the head of an HTTP request with the port of an announce replaced by the public one, if there is
// one, and remembers what is announced: the client has it, and soon connects to its peers, maybe encrypted.
func (p *Proxy) overhear(dst, head []byte) (out []byte, asked announce.Request, announces bool) {
	if p.cfg.PublicPort != 0 {
		out, asked, announces = announce.RewriteHead(dst, head, p.cfg.PublicPort)
	} else {
		out = append(dst, head...)
		if from, to, ok := announce.RequestTarget(head); ok {
			asked, announces = announce.ParseTarget(head[from:to])
		}
	}
	if announces && !asked.Stopped {
		p.known.add(asked.InfoHash)
	}
	return out, asked, announces
}

// confirm remembers the session's torrent once the client has answered for it.
func (s *Session) confirm() {
	if !s.initiator && s.hash != (units.InfoHash{}) && s.toRemote.sent.Load() > 0 {
		s.of.known.add(s.hash)
	}
}
