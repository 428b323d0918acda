package client

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"paygate/units"
)

// Bounds on what is kept of a torrent.
const (
	maxName     = 1 << 10
	maxTags     = 64
	maxTrackers = 32
	maxURL      = 2 << 10
)

// snapshot is what is known of torrents at one moment. It never changes.
type snapshot struct {
	by     map[units.InfoHash]*Torrent
	hashes []units.InfoHash // sorted
}

// InfoHashes implements View.
func (s *snapshot) InfoHashes() []units.InfoHash {
	if s == nil {
		return nil
	}
	return s.hashes
}

// Torrent implements View.
func (s *snapshot) Torrent(ih units.InfoHash) (Torrent, bool) {
	if s == nil {
		return Torrent{}, false
	}
	t, ok := s.by[ih]
	if !ok {
		return Torrent{}, false
	}
	return *t, true
}

// newSnapshot lists torrents. It keeps the list of hashes of the one before where nothing has come or gone.
func newSnapshot(before *snapshot, torrents func(yield func(*Torrent) bool)) *snapshot {
	s := &snapshot{by: map[units.InfoHash]*Torrent{}}
	for t := range torrents {
		for _, h := range t.Hashes {
			s.by[h] = t
		}
	}
	s.hashes = make([]units.InfoHash, 0, len(s.by))
	for h := range s.by {
		s.hashes = append(s.hashes, h)
	}
	slices.SortFunc(s.hashes, func(a, b units.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	if before != nil && slices.Equal(s.hashes, before.hashes) {
		s.hashes = before.hashes
	}
	return s
}

// book is what one client has told so far. Only the goroutine that asks the client touches it; torrents in it are
// replaced, never changed, since snapshots share them.
type book struct {
	torrents map[string]*Torrent // by the client's own name for them
	dirty    bool
	settings Settings
	uploaded units.Bytes // payload bytes since the client started
	counted  bool        // uploaded was told
	busy     bool        // something is being transferred
	backlog  bool        // there is more to ask
	read     time.Time   // when the last answer came; the zero time: never
}

func newBook() *book { return &book{torrents: map[string]*Torrent{}} }

// reset forgets the torrents.
func (b *book) reset() {
	clear(b.torrents)
	b.dirty = true
}

// change replaces a torrent by a changed copy. It reports false if there are too many already.
func (b *book) change(key string, how func(*Torrent)) bool {
	old, ok := b.torrents[key]
	if !ok {
		if len(b.torrents) >= maxTorrents {
			return false
		}
		old = &Torrent{Seeds: -1, Ratio: -1}
	}
	t := *old
	how(&t)
	b.torrents[key] = &t
	b.dirty = true
	return true
}

func (b *book) remove(key string) {
	if _, ok := b.torrents[key]; ok {
		delete(b.torrents, key)
		b.dirty = true
	}
}

// snapshot brings the one before up to date.
func (b *book) snapshot(before *snapshot) *snapshot {
	if !b.dirty && before != nil {
		return before
	}
	b.dirty = false
	return newSnapshot(before, func(yield func(*Torrent) bool) {
		for _, t := range b.torrents {
			if !yield(t) {
				return
			}
		}
	})
}

// hashesOf reads info-hashes in hexadecimal digits: 40 of SHA-1, or 64 of SHA-256, of which the first 20 bytes go over
// the wire (BEP 52). What is neither is left out, and so is what stands there twice.
func hashesOf(texts ...string) []units.InfoHash {
	var list []units.InfoHash
	for _, s := range texts {
		var h units.InfoHash
		raw, err := hex.DecodeString(s)
		if err != nil || len(raw) != 20 && len(raw) != 32 {
			continue
		}
		copy(h[:], raw)
		if !slices.Contains(list, h) {
			list = append(list, h)
		}
	}
	return list
}

// clip bounds a text, and gives back memory that a longer one would hold.
func clip(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return strings.Clone(s)
}

func clipAll(list []string, most, each int) []string {
	list = list[:min(len(list), most)]
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" && len(s) <= each {
			out = append(out, strings.Clone(s))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
