package crash

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paygate/fault"
)

// tally counts what plans hold.
func tally(plans []*plan) (points map[string]int, events, all int) {
	points = map[string]int{}
	for _, p := range plans {
		for _, list := range p.points {
			for _, point := range list {
				points[point]++
				all++
			}
		}
		events += len(p.events)
	}
	return points, events, all + events
}

func TestDealSpreadsEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kills, lanes := rapid.IntRange(1, 500).Draw(t, "kills"), rapid.IntRange(1, 20).Draw(t, "lanes")
		seed := rapid.Uint64().Draw(t, "seed")
		plans := deal(seed, kills, lanes, []string{"a", "b"})
		points, events, all := tally(plans)
		if all != kills || events != kills/5 {
			t.Fatalf("%d kills, %d of them of nodes; %d wanted", all, events, kills)
		}
		named := append(fault.SellerPoints(), fault.BuyerPoints()...)
		each := (kills - events) / (len(named) + 2)
		for _, p := range named {
			if n := points[p]; n < each || n > each+1 {
				t.Fatalf("%s: %d times, %d wanted", p, n, each)
			}
		}
		if !reflect.DeepEqual(tallies(plans), tallies(deal(seed, kills, lanes, []string{"a", "b"}))) {
			t.Fatal("the same seed deals differently")
		}
	})
}

func tallies(plans []*plan) (all []map[role][]string) {
	for _, p := range plans {
		all = append(all, p.points)
	}
	return all
}

func TestPlanComesToItsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := deal(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 60).Draw(t, "kills"), 1, nil)[0]
		open, apart := false, false
		for range 2000 {
			if len(p.points[buyer])+len(p.points[seller]) == 0 {
				return
			}
			for _, r := range []role{seller, buyer} {
				s := situation{open: open, apart: apart}
				empty := len(p.points[r]) == 0
				point, extra := p.choose(r, s)
				if empty != (point == "") {
					t.Fatalf("the %s is armed with %q, while it has %v", r, point, p.points[r])
				}
				checkChoice(t, r, s, point, extra)
				if name := nameOf(point); r == buyer { // what such a kill brings about
					open = slices.Contains(append(slow(), fault.PayAfter), name) || open && strings.HasPrefix(name, "track.")
					apart = name == fault.ReceiveBefore || rapid.Bool().Draw(t, "apart")
				}
			}
		}
		t.Fatalf("it never ends: %v", p.points)
	})
}

func nameOf(point string) string {
	name, _, _ := strings.Cut(point, ":")
	return name
}

func checkChoice(t *rapid.T, r role, s situation, point string, extra bool) {
	own := append(fault.SellerPoints(), anywhere, "")
	if r == buyer {
		own = append(fault.BuyerPoints(), anywhere, "")
	}
	name := nameOf(point)
	switch {
	case !slices.Contains(own, name):
		t.Fatalf("the %s is armed with %q", r, point)
	case strings.HasPrefix(name, "track.") && !s.open, strings.HasPrefix(name, "recon.") && !s.apart:
		t.Fatalf("%s cannot be reached now", point)
	case extra && name != fault.ReceiveBefore && name != fault.PayAfter:
		t.Fatalf("%s helps nobody", point)
	}
}
