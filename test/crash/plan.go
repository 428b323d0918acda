package crash

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"paygate/fault"
)

// anywhere stands for a kill from outside, at a random moment.
const anywhere = "anywhere"

// role is a party whose paygate or node is killed.
type role string

const (
	buyer  role = "buyer"
	seller role = "seller"
)

// event is something that befalls the Lightning side of a lane.
type event struct {
	node    role   // whose node is killed; empty for trouble
	trouble string // by name
}

func (e event) String() string {
	if e.node != "" {
		return string(e.node) + " lnd killed"
	}
	return e.trouble
}

// plan is what is still to befall one lane.
type plan struct {
	rng    *rand.Rand
	points map[role][]string
	events []event
	last   string // the buyer's point that is kept for the end
}

// slow returns the points after which a payment stays in doubt for half a minute, during which nothing is bought: it was
// journalled, and the node has never heard of it.
func slow() []string { return []string{fault.ReserveAfter, fault.SentBefore, fault.SentAfter} }

// deal spreads a campaign over lanes: a fifth of the kills befalls the Lightning side, the others go round all points.
func deal(seed uint64, kills, lanes int, troubles []string) []*plan {
	rng := rand.New(rand.NewPCG(seed, 0))
	plans := make([]*plan, lanes)
	for i := range plans {
		plans[i] = &plan{rng: rand.New(rand.NewPCG(seed, uint64(i)+1)), points: map[role][]string{}}
	}
	forEvents := kills / 5
	d := dealer{plans: plans, at: rng.IntN(lanes)}
	for _, group := range groups(rng, kills-forEvents) {
		for _, p := range group.points {
			d.point(group.role, p)
		}
	}
	for _, e := range events(rng, forEvents, troubles) {
		d.event(e)
	}
	for _, p := range plans {
		p.begin()
	}
	return plans
}

// group is a number of kills of one role's paygate.
type group struct {
	role   role
	points []string
}

// groups draws n points, each as often as any other, give or take one, and sorts them into groups that are dealt one
// after the other, so that every lane gets its share of each.
func groups(rng *rand.Rand, n int) []group {
	type draw struct {
		role  role
		point string
	}
	var all []draw
	for _, p := range append(fault.SellerPoints(), anywhere) {
		all = append(all, draw{seller, p})
	}
	for _, p := range append(fault.BuyerPoints(), anywhere) {
		all = append(all, draw{buyer, p})
	}
	out := []group{{role: buyer}, {role: buyer}, {role: seller}} // the first one: slow
	for i := range n {
		if i%len(all) == 0 {
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		d := all[i%len(all)]
		g := &out[2]
		if d.role == buyer {
			g = &out[1]
			if slices.Contains(slow(), d.point) {
				g = &out[0]
			}
		}
		g.points = append(g.points, d.point)
	}
	for _, g := range out {
		rng.Shuffle(len(g.points), func(i, j int) { g.points[i], g.points[j] = g.points[j], g.points[i] })
	}
	return out
}

// events draws n events, each as often as any other, kills of nodes twice as often as each trouble.
func events(rng *rand.Rand, n int, troubles []string) []event {
	kinds := []event{{node: buyer}, {node: seller}, {node: buyer}, {node: seller}}
	for _, t := range troubles {
		kinds = append(kinds, event{trouble: t})
	}
	list := make([]event, n)
	for i := range list {
		if i%len(kinds) == 0 {
			rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		list[i] = kinds[i%len(kinds)]
	}
	return list
}

// dealer gives to one plan after the other.
type dealer struct {
	plans []*plan
	at    int
}

func (d *dealer) next() *plan {
	d.at = (d.at + 1) % len(d.plans)
	return d.plans[d.at]
}

func (d *dealer) point(r role, point string) {
	p := d.next()
	p.points[r] = append(p.points[r], point)
}

func (d *dealer) event(e event) {
	p := d.next()
	p.events = append(p.events, e)
}

// begin keeps one slow point for the end, when the last payments are waited for in any case.
func (p *plan) begin() {
	for _, point := range p.points[buyer] {
		if slices.Contains(slow(), point) {
			p.last = point
		}
	}
}

// done reports that nothing is left to befall the lane.
func (p *plan) done() bool { return len(p.points[buyer])+len(p.points[seller])+len(p.events) == 0 }

// event takes the next event off the plan.
func (p *plan) event() (event, bool) {
	if len(p.events) == 0 {
		return event{}, false
	}
	e := p.events[0]
	p.events = p.events[1:]
	return e, true
}

// eventNow tells whether the next event is to happen in this round: at a rate at which events last as long as points, and
// while money moves, if there is a choice.
func (p *plan) eventNow(s situation) bool {
	points := len(p.points[buyer]) + len(p.points[seller])
	if len(p.events) == 0 || points > 0 && s.open {
		return false
	}
	return p.rng.IntN(len(p.events)+points) < len(p.events)
}

// situation is what a plan must know to choose a point that can be reached.
type situation struct {
	open  bool // a payment is unresolved, which a buyer asks about at its start
	apart bool // the books differ on the buyer's credit
}

// choose takes the point at which a paygate that is about to start will end, and arms it. extra tells that the point
// was not planned, but is needed to reach one that was. An empty point arms nothing.
func (p *plan) choose(r role, s situation) (point string, extra bool) {
	left := p.points[r]
	if len(left) == 0 {
		return "", false
	}
	afterwards := []string{fault.TrackBefore, fault.TrackAfter}
	if s.open {
		if point, ok := p.pick(r, only(left, afterwards)); ok {
			return point, false
		}
	}
	differing := []string{fault.ReconBefore, fault.ReconAfter}
	ordinary := without(left, slices.Concat(afterwards, differing))
	if s.apart && (p.rng.IntN(10) < 7 || len(ordinary) == 0) {
		if point, ok := p.pick(r, only(left, differing)); ok {
			return point, false
		}
	}
	if early := without(ordinary, []string{p.last}); len(early) > 0 {
		ordinary = early
	}
	if point, ok := p.pick(r, ordinary); ok {
		return p.again(point), false
	}
	if len(only(left, differing)) > 0 {
		return fault.ReceiveBefore, true // which leaves received bytes uncounted
	}
	return fault.PayAfter, true // which leaves a payment open
}

// pick takes one of some points off the plan.
func (p *plan) pick(r role, from []string) (string, bool) {
	if len(from) == 0 {
		return "", false
	}
	point := from[p.rng.IntN(len(from))]
	at := slices.Index(p.points[r], point)
	p.points[r] = slices.Delete(p.points[r], at, at+1)
	return point, true
}

// putBack plans a point once more.
func (p *plan) putBack(r role, point string) {
	name, _, _ := strings.Cut(point, ":")
	if name != anywhere { // it was killed so after all
		p.points[r] = append(p.points[r], name)
	}
}

// again lets some points pass a few times before they strike.
func (p *plan) again(point string) string {
	n := 1 + max(0, p.rng.IntN(12)-6)
	if point == anywhere || n == 1 {
		return point
	}
	return fmt.Sprintf("%s:%d", point, n)
}

func only(list, which []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(which, s) })
}

func without(list, which []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(which, s) })
}
