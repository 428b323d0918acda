package client

import (
	"slices"
	"sync/atomic"

	"paygate/units"
)

// Static is a View of info-hashes that the owner has listed; nothing else is known of them.
type Static struct{ state *snapshot }

// NewStatic makes a Static.
func NewStatic(hashes []units.InfoHash) *Static {
	return &Static{newSnapshot(nil, func(yield func(*Torrent) bool) {
		for _, h := range hashes {
			if !yield(&Torrent{Hashes: []units.InfoHash{h}, Seeds: -1, Ratio: -1}) {
				return
			}
		}
	})}
}

// InfoHashes implements View.
func (s *Static) InfoHashes() []units.InfoHash { return s.state.InfoHashes() }

// Torrent implements View.
func (s *Static) Torrent(ih units.InfoHash) (Torrent, bool) { return s.state.Torrent(ih) }

// Catalog unites several Views; where more than one knows a torrent, the first counts. The zero Catalog knows none.
type Catalog struct {
	views []View
	last  atomic.Pointer[union]
}

// union is a list of info-hashes and the lists that it was made of.
type union struct {
	parts [][]units.InfoHash
	all   []units.InfoHash
}

// NewCatalog makes a Catalog. The views must not be changed.
func NewCatalog(views ...View) *Catalog { return &Catalog{views: views} }

// InfoHashes implements View. It makes a new list only when a part has.
func (c *Catalog) InfoHashes() []units.InfoHash {
	if len(c.views) == 1 {
		return c.views[0].InfoHashes()
	}
	parts := make([][]units.InfoHash, len(c.views))
	for i, v := range c.views {
		parts[i] = v.InfoHashes()
	}
	if u := c.last.Load(); u != nil && slices.EqualFunc(u.parts, parts, same) {
		return u.all
	}
	u := &union{parts: parts}
	seen := map[units.InfoHash]bool{}
	for _, p := range parts {
		for _, h := range p {
			if !seen[h] {
				seen[h] = true
				u.all = append(u.all, h)
			}
		}
	}
	c.last.Store(u)
	return u.all
}

// same reports whether two lists are one and the same in memory.
func same(a, b []units.InfoHash) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Torrent implements View.
func (c *Catalog) Torrent(ih units.InfoHash) (Torrent, bool) {
	for _, v := range c.views {
		if t, ok := v.Torrent(ih); ok {
			return t, true
		}
	}
	return Torrent{}, false
}
