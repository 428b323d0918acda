package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// The first match is found with one row of bits for each value that a rule can ask for: bit i says that rule i holds for
// that value, or does not ask. A decision takes one row for each kind of fact and the lowest bit that stands in all of
// them, so that its cost hardly grows with the number of rules. Rows never change once made.

// row has one bit for each rule.
type row []uint64

func (r row) set(i int)      { r[i/64] |= 1 << (i % 64) }
func (r row) has(i int) bool { return r[i/64]&(1<<(i%64)) != 0 }

// span is how many words of a row are looked at together, on the stack: 1,024 rules.
const span = 16

type window [span]uint64

func (w *window) keep(r row, from int) {
	for i := range min(span, len(r)-from) {
		w[i] &= r[from+i]
	}
}

func (w *window) join(r row, from int) {
	for i := range min(span, len(r)-from) {
		w[i] |= r[from+i]
	}
}

func (w *window) and(o *window) {
	for i := range w {
		w[i] &= o[i]
	}
}

// keyed answers for facts that are compared as they are. The zero keyed is one that no rule asks for.
type keyed[K comparable] struct {
	rest row // rules that do not ask
	rows map[K]row
}

// newKeyed takes, for each rule, the values that it takes; ask tells whether it asks at all.
func newKeyed[K comparable](rules, words int, values func(rule int) (keys []K, ask bool)) keyed[K] {
	k := keyed[K]{rest: make(row, words), rows: map[K]row{}}
	any := false
	for i := range rules {
		keys, ask := values(i)
		if !ask {
			k.rest.set(i)
			continue
		}
		any = true
		for _, v := range keys {
			if k.rows[v] == nil {
				k.rows[v] = make(row, words)
			}
			k.rows[v].set(i)
		}
	}
	if !any {
		return keyed[K]{}
	}
	k.share()
	return k
}

// share lets values that the same rules ask for have one row: a rule may list very many.
func (k keyed[K]) share() {
	seen := map[string]row{}
	for v, r := range k.rows {
		id := make([]byte, 0, 8*len(r))
		for _, w := range r {
			for s := 0; s < 64; s += 8 {
				id = append(id, byte(w>>s))
			}
		}
		if same, ok := seen[string(id)]; ok {
			k.rows[v] = same
		} else {
			seen[string(id)] = r
		}
	}
}

// one keeps the rules that hold for a fact of one value.
func (k keyed[K]) one(w *window, from int, v K, known bool) {
	if k.rest == nil {
		return
	}
	var of window
	of.join(k.rest, from)
	if known {
		of.join(k.rows[v], from)
	}
	w.and(&of)
}

// open starts the rules that hold for a fact of several values; false if no rule asks.
func (k keyed[K]) open(of *window, from int) bool {
	if k.rest == nil {
		return false
	}
	of.join(k.rest, from)
	return true
}

// ordered answers for facts that are compared by order. The zero ordered is one that no rule asks for.
type ordered[K any] struct {
	rest    row
	compare func(a, b K) int
	starts  []K // ascending; rows[i] holds from starts[i] up to the next
	rows    []row
}

// stretch is from first up to, but not including, end. One that is endless has no end.
type stretch[K any] struct {
	first, end K
	endless    bool
}

func newOrdered[K any](rules, words int, compare func(a, b K) int, values func(rule int) (of []stretch[K], ask bool)) ordered[K] {
	o := ordered[K]{rest: make(row, words), compare: compare}
	all := make([][]stretch[K], rules)
	any := false
	for i := range rules {
		of, ask := values(i)
		if !ask {
			o.rest.set(i)
			continue
		}
		any = true
		all[i] = of
		for _, s := range of {
			o.starts = append(o.starts, s.first)
			if !s.endless {
				o.starts = append(o.starts, s.end)
			}
		}
	}
	if !any {
		return ordered[K]{}
	}
	slices.SortFunc(o.starts, compare)
	o.starts = slices.CompactFunc(o.starts, func(a, b K) bool { return compare(a, b) == 0 })
	o.rows = make([]row, len(o.starts))
	for i := range o.rows {
		o.rows[i] = slices.Clone(o.rest)
	}
	for i, of := range all {
		for _, s := range of {
			o.cover(i, s)
		}
	}
	return o
}

func (o ordered[K]) cover(rule int, s stretch[K]) {
	for j := o.find(s.first); j < len(o.starts) && (s.endless || o.compare(o.starts[j], s.end) < 0); j++ {
		o.rows[j].set(rule)
	}
}

// find returns the last start that is not above v; -1 if all are.
func (o ordered[K]) find(v K) int {
	return sort.Search(len(o.starts), func(i int) bool { return o.compare(o.starts[i], v) > 0 }) - 1
}

// one keeps the rules that hold for a fact.
func (o ordered[K]) one(w *window, from int, v K, known bool) {
	if o.rest == nil {
		return
	}
	holds := o.rest
	if known {
		if i := o.find(v); i >= 0 {
			holds = o.rows[i]
		}
	}
	w.keep(holds, from)
}

// within is the stretch of the numbers from least to most, both included.
func within(least, most int64) stretch[int64] {
	end := most + 1
	return stretch[int64]{least, end, end < most}
}

// network is the stretch of a network's addresses, in the order of netip.Addr.Compare.
func network(p netip.Prefix) stretch[netip.Addr] {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(last); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	if p.Addr().Is4() && !end.Next().IsValid() {
		return stretch[netip.Addr]{first: p.Addr(), end: netip.IPv6Unspecified()} // the next in order
	}
	return stretch[netip.Addr]{p.Addr(), end.Next(), !end.Next().IsValid()}
}

func compareNumbers(a, b int64) int { return cmp.Compare(a, b) }
