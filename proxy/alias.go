package proxy

import (
	"container/list"
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// aliasQuarantine is how long an address is not given to another remote after it was last in use, since clients ban
	// by address. Once the range is used up, the one that has been idle for longest goes earlier.
	aliasQuarantine = 7 * 24 * time.Hour
	// maxAliases bounds how many remotes are remembered.
	maxAliases = 1 << 16
	// perNetwork is how many aliases the addresses of one IPv6 /64 have at once, or one stranger could use up the range.
	perNetwork = 8
)

var (
	// errNoAlias says that every address of the range is in use.
	errNoAlias = errors.New("no loopback address is free")
	// errNetworkFull says that perNetwork addresses of one IPv6 /64 are connected already.
	errNetworkFull = errors.New("too many addresses of one IPv6 network")
)

// aliases gives each remote address a loopback address of its own, from which paygate connects to the client: clients
// take connections from one address for one peer. The same remote gets the same alias for as long as it is remembered,
// across restarts if there is a file. Of an IPv6 /64 only the perNetwork addresses that were used last are.
type aliases struct {
	prefix netip.Prefix
	avoid  netip.Addr // the client's own
	now    func() time.Time
	path   string
	most   int // remembered remotes

	mu     sync.Mutex
	file   *os.File
	remote map[netip.Addr]*list.Element
	taken  map[netip.Addr]*list.Element
	nets   map[netip.Addr][]*list.Element // the leases of each IPv6 /64
	legs   map[netip.AddrPort]uint16      // connections to the client, see connected
	byAge  *list.List                     // of *lease, longest unused first
	next   netip.Addr
	lap    time.Time // when next began to walk through the range
	dirty  bool
}

// lease binds an alias to a remote.
type lease struct {
	remote, alias netip.Addr
	used          time.Time
	refs          int
}

// take returns the alias of a remote. Call give when the connection has ended.
func (a *aliases) take(remote netip.Addr) (netip.Addr, error) {
	remote = remote.Unmap().WithZone("")
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.remote[remote]
	if !ok {
		alias, err := a.allocateFor(remote)
		if err != nil {
			return netip.Addr{}, err
		}
		e = a.remember(&lease{remote: remote, alias: alias})
		a.note(e.Value.(*lease))
	}
	l := e.Value.(*lease)
	l.refs++
	a.touch(e)
	return l.alias, nil
}

// give ends one use of a remote's alias.
func (a *aliases) give(remote netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.remote[remote.Unmap().WithZone("")]; ok {
		e.Value.(*lease).refs--
		a.touch(e)
	}
}

func (a *aliases) touch(e *list.Element) {
	e.Value.(*lease).used = a.now()
	a.byAge.MoveToBack(e)
	a.dirty = true
}

func (a *aliases) remember(l *lease) *list.Element {
	e := a.byAge.PushBack(l)
	a.remote[l.remote], a.taken[l.alias] = e, e
	if l.remote.Is6() {
		net := subscriber(l.remote)
		a.nets[net] = append(a.nets[net], e)
	}
	return e
}

func (a *aliases) forget(e *list.Element) {
	l := a.byAge.Remove(e).(*lease)
	delete(a.remote, l.remote)
	delete(a.taken, l.alias)
	if !l.remote.Is6() {
		return
	}
	net := subscriber(l.remote)
	if a.nets[net] = slices.DeleteFunc(a.nets[net], func(x *list.Element) bool { return x == e }); len(a.nets[net]) == 0 {
		delete(a.nets, net)
	}
}

// allocateFor finds an alias for a remote that has none: one of its own network if that has as many as it may.
func (a *aliases) allocateFor(remote netip.Addr) (netip.Addr, error) {
	if remote.Is4() {
		return a.allocate()
	}
	net := a.nets[subscriber(remote)]
	if len(net) < perNetwork {
		return a.allocate()
	}
	oldest := idleOf(net)
	if oldest == nil {
		return netip.Addr{}, errNetworkFull
	}
	return a.reuse(oldest), nil
}

// idleOf is the lease that has been out of use for longest, nil if all are in use.
func idleOf(leases []*list.Element) *list.Element {
	var oldest *list.Element
	for _, e := range leases {
		l := e.Value.(*lease)
		if l.refs == 0 && (oldest == nil || l.used.Before(oldest.Value.(*lease).used)) {
			oldest = e
		}
	}
	return oldest
}

// allocate finds an alias that nobody has: the one unused for longest if its quarantine is over, else the next of the
// range. When too many are remembered the oldest is forgotten; its alias comes back only when the whole
// range has been walked through, which must take as long as a quarantine. When the range is used up before that, a
// newcomer gets the one unused for longest all the same.
func (a *aliases) allocate() (netip.Addr, error) {
	oldest := a.oldest()
	if oldest != nil && a.now().Sub(oldest.Value.(*lease).used) >= aliasQuarantine {
		return a.reuse(oldest), nil
	}
	alias, ok := a.walk()
	switch {
	case !ok && oldest == nil:
		return netip.Addr{}, errNoAlias
	case !ok:
		return a.reuse(oldest), nil
	}
	if oldest != nil && a.byAge.Len() >= a.most {
		a.forget(oldest)
	}
	return alias, nil
}

// reuse forgets a lease and returns its alias.
func (a *aliases) reuse(e *list.Element) netip.Addr {
	alias := e.Value.(*lease).alias
	a.forget(e)
	return alias
}

// oldest is the lease that has been out of use for longest, nil if all are in use.
func (a *aliases) oldest() *list.Element {
	for e := a.byAge.Front(); e != nil; e = e.Next() {
		if e.Value.(*lease).refs == 0 {
			return e
		}
	}
	return nil
}

// walk returns the next address of the range that is not taken.
func (a *aliases) walk() (netip.Addr, bool) {
	for range a.byAge.Len() + 3 {
		if !a.prefix.Contains(a.next) {
			if a.now().Sub(a.lap) < aliasQuarantine {
				return netip.Addr{}, false
			}
			a.next, a.lap = a.prefix.Addr().Next(), a.now()
		}
		alias := a.next
		a.next = alias.Next()
		if _, taken := a.taken[alias]; !taken && alias != a.avoid && a.prefix.Contains(alias) {
			return alias, true
		}
	}
	return netip.Addr{}, false
}
