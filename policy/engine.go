package policy

import (
	"math/bits"
	"net/netip"
	"strings"
	"time"

	"paygate/config"
	"paygate/units"
)

// scope is what a rule applies to.
type scope struct {
	any   bool
	hash  []units.InfoHash
	match *config.Match
}

// selects reports whether the rule says at all what it is for.
func (s scope) selects() bool { return s.any || len(s.hash) > 0 || !s.match.Empty() }

// engine finds the first of many scopes that a connection falls into.
type engine struct {
	rules int
	live  row // rules that can match anything

	hash     keyed[units.InfoHash]
	category keyed[string]
	tag      keyed[string]
	tracker  keyed[string] // hosts, and ".domain" for all below
	private  keyed[bool]
	size     ordered[int64]
	age      ordered[int64]
	seeds    ordered[int64]
	ratio    ordered[int64]
	peer     ordered[netip.Addr]
	country  keyed[string]
	clientID keyed[string]
	identity keyed[units.PeerKey]
	times    []calendar

	late row // rules that ask for what only becomes known, or changes, while a connection lasts
}

// calendar answers for the time of the week in one zone.
type calendar struct {
	zone  *time.Location
	index ordered[int64]
}

func newEngine(scopes []scope) *engine {
	n, words := len(scopes), (len(scopes)+63)/64
	e := &engine{rules: n, live: make(row, words), late: make(row, words)}
	for i, s := range scopes {
		if s.selects() {
			e.live.set(i)
		}
		if m := s.match; len(m.ClientID) > 0 || len(m.Identity) > 0 || m.Times.Zone != nil {
			e.late.set(i)
		}
	}
	names := func(of func(*config.Match) []string) keyed[string] {
		return newKeyed(n, words, func(i int) ([]string, bool) { v := of(scopes[i].match); return v, len(v) > 0 })
	}
	numbers := func(of func(*config.Match) config.Range) ordered[int64] {
		return newOrdered(n, words, compareNumbers, func(i int) ([]stretch[int64], bool) {
			r := of(scopes[i].match)
			return []stretch[int64]{within(r.Least, r.Most)}, r.Set
		})
	}
	e.hash = newKeyed(n, words, func(i int) ([]units.InfoHash, bool) { s := scopes[i]; return s.hash, len(s.hash) > 0 && !s.any })
	e.category = names(func(m *config.Match) []string { return m.Category })
	e.tag = names(func(m *config.Match) []string { return m.Tag })
	e.tracker = names(func(m *config.Match) []string { return domains(m.Tracker) })
	e.country = names(func(m *config.Match) []string { return m.Country })
	e.clientID = names(func(m *config.Match) []string { return m.ClientID })
	e.private = newKeyed(n, words, func(i int) ([]bool, bool) {
		if p := scopes[i].match.Private; p != nil {
			return []bool{*p}, true
		}
		return nil, false
	})
	e.identity = newKeyed(n, words, func(i int) ([]units.PeerKey, bool) { v := scopes[i].match.Identity; return v, len(v) > 0 })
	e.size = numbers(func(m *config.Match) config.Range { return m.Size })
	e.age = numbers(func(m *config.Match) config.Range { return m.Age })
	e.seeds = numbers(func(m *config.Match) config.Range { return m.Seeds })
	e.ratio = numbers(func(m *config.Match) config.Range { return m.Ratio })
	e.peer = newOrdered(n, words, netip.Addr.Compare, func(i int) (of []stretch[netip.Addr], ask bool) {
		for _, p := range scopes[i].match.Peer {
			of = append(of, network(p))
		}
		return of, len(of) > 0
	})
	e.times = calendars(scopes, words)
	return e
}

// domains writes "*.example.org" as the index has it.
func domains(patterns []string) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = strings.TrimPrefix(p, "*")
	}
	return out
}

// calendars makes one index for each zone that a rule names.
func calendars(scopes []scope, words int) (all []calendar) {
	seen := map[string]bool{}
	for _, s := range scopes {
		z := s.match.Times.Zone
		if z == nil || seen[z.String()] {
			continue
		}
		seen[z.String()] = true
		all = append(all, calendar{z, newOrdered(len(scopes), words, compareNumbers, func(i int) ([]stretch[int64], bool) {
			t := scopes[i].match.Times
			return week(t), t.Zone != nil && t.Zone.String() == z.String()
		})})
	}
	return all
}

// week lists the minutes of the week at which times hold. What goes on after Saturday's end comes round to Sunday.
func week(t config.Times) (of []stretch[int64]) {
	hours := t.Hours
	if len(hours) == 0 {
		hours = []config.Span{{From: 0, To: dayMinutes}}
	}
	for day := range int64(7) {
		if t.Days != 0 && t.Days&(1<<day) == 0 {
			continue
		}
		for _, h := range hours {
			from, to := day*dayMinutes+int64(h.From), day*dayMinutes+int64(h.To)
			if h.To <= h.From {
				to += dayMinutes
			}
			of = append(of, stretch[int64]{first: from, end: min(to, weekMinutes)})
			if to > weekMinutes {
				of = append(of, stretch[int64]{first: 0, end: to - weekMinutes})
			}
		}
	}
	return of
}

// first returns the first rule that holds; -1 if none does. It allocates nothing.
func (e *engine) first(f *Facts) int {
	for from := 0; from < len(e.live); from += span {
		w := e.holding(f, from)
		e.holdingLate(&w, f, from)
		if i := w.lowest(); i >= 0 {
			return from*64 + i
		}
	}
	return -1
}

func (w *window) lowest() int {
	for i, word := range w {
		if word != 0 {
			return i*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// lists reports whether a rule names one of the info-hashes itself.
func (e *engine) lists(rule int, hashes []units.InfoHash) bool {
	for _, h := range hashes {
		if r := e.hash.rows[h]; r != nil && r.has(rule) {
			return true
		}
	}
	return false
}

// holding returns the rules that hold, but for what holdingLate looks at.
func (e *engine) holding(f *Facts, from int) (w window) {
	w.join(e.live, from)
	var of window
	if e.hash.open(&of, from) {
		for _, h := range f.InfoHashes {
			of.join(e.hash.rows[h], from)
		}
		w.and(&of)
	}
	category, known := f.category()
	e.category.one(&w, from, category, known)
	of = window{}
	if e.tag.open(&of, from) {
		for _, t := range f.tags() {
			of.join(e.tag.rows[t], from)
		}
		w.and(&of)
	}
	e.holdingTrackers(&w, f, from)
	private, known := f.private()
	e.private.one(&w, from, private, known)
	n, known := f.size()
	e.size.one(&w, from, n, known)
	n, known = f.age()
	e.age.one(&w, from, n, known)
	n, known = f.seeds()
	e.seeds.one(&w, from, n, known)
	n, known = f.ratio()
	e.ratio.one(&w, from, n, known)
	remote := f.Remote.Unmap().WithZone("")
	e.peer.one(&w, from, remote, remote.IsValid())
	e.country.one(&w, from, f.Country, f.Country != "")
	return w
}

func (e *engine) holdingTrackers(w *window, f *Facts, from int) {
	var of window
	if !e.tracker.open(&of, from) {
		return
	}
	for _, announce := range f.trackers() {
		host := hostOf(announce)
		if host == "" {
			continue
		}
		of.join(e.tracker.rows[host], from)
		for i := strings.IndexByte(host, '.'); i >= 0; {
			if i > 0 {
				of.join(e.tracker.rows[host[i:]], from)
			}
			next := strings.IndexByte(host[i+1:], '.')
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	w.and(&of)
}

// holdingLate keeps, of the rules that hold, those that do so for what becomes known or changes in the course of a
// connection: who the peer is, and the time.
func (e *engine) holdingLate(w *window, f *Facts, from int) {
	var of window
	if e.clientID.open(&of, from) {
		for i := range f.ClientID {
			of.join(e.clientID.rows[f.ClientID[:i+1]], from)
		}
		w.and(&of)
	}
	e.identity.one(w, from, f.Identity, !f.Identity.IsZero())
	for _, c := range e.times {
		c.index.one(w, from, minuteOfWeek(f.Now, c.zone), !f.Now.IsZero())
	}
}

// possible calls yes with each rule, in order, that holds or may hold later in the same connection, and tells whether it
// holds for good. It stops when yes says so.
func (e *engine) possible(f *Facts, yes func(rule int, forGood bool) (stop bool)) {
	for from := 0; from < len(e.live); from += span {
		w := e.holding(f, from)
		for i, word := range w {
			for ; word != 0; word &= word - 1 {
				rule := (from+i)*64 + bits.TrailingZeros64(word)
				if yes(rule, !e.late.has(rule)) {
					return
				}
			}
		}
	}
}
