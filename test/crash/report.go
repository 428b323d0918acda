package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"paygate/ledger"
	"paygate/units"
)

// Report is what a campaign came to.
type Report struct {
	Seed        uint64
	Lanes       int
	Took        time.Duration
	Gates       map[string]int // kills by whose paygate
	Nodes       map[string]int // kills by whose node, and troubles by name
	Points      map[string]int // kills by point
	NotReached  []string       // points at which a paygate did not arrive in time, and who was to
	Looks       int            // times that the books were reconciled
	Payments    int            // reserved by buyers
	Succeeded   int            // of them
	Failed      int            // of them
	Doubted     int            // of them, unknown for a while
	Found       int            // resolved only after a crash or an outage
	Credited    int            // by sellers
	Invoices    int            // made by sellers' nodes
	Passed      units.Bytes    // left sellers' paygates
	Charged     units.Bytes    // by sellers
	MostLost    units.Msat     // to one crash of a seller
	Largest     units.Msat     // the largest purchase
	WrittenOff  units.Msat     // by buyers, net
	MostOwed    units.Msat     // unused credit that a seller owed at any time
	MostAtStake units.Msat     // unused and unresolved money that a buyer had with its seller, by its own books
	Differences []string       // everything that did not add up, at any time

	mu sync.Mutex
}

func newReport(seed uint64, lanes int) *Report {
	return &Report{Seed: seed, Lanes: lanes, Gates: map[string]int{}, Nodes: map[string]int{}, Points: map[string]int{}}
}

// Kills is the number of all kills, of paygates and of nodes, and of connections and payments troubled in their stead.
func (r *Report) Kills() int {
	n := 0
	for _, kills := range []map[string]int{r.Gates, r.Nodes} {
		for _, k := range kills {
			n += k
		}
	}
	return n
}

func (r *Report) gateKilled(who role, point string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Gates[string(who)]++
	name, _, _ := strings.Cut(point, ":")
	r.Points[name]++
}

func (r *Report) happened(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Nodes[e.String()]++
}

func (r *Report) notReached(who role, point string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.NotReached = append(r.NotReached, string(who)+" "+point)
}

// looked takes a look at which nothing differed.
func (r *Report) looked(l look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Looks++
	r.Largest = max(r.Largest, l.loss.largest)
	if n := l.loss.crashes; n > 0 {
		r.MostLost = max(r.MostLost, l.loss.price.Charge(l.lost()-l.loss.before)/units.Msat(n))
	}
	r.MostOwed = max(r.MostOwed, l.seller.totals.CreditOwed)
	stake := l.buyer.totals.CreditHeld
	for _, p := range l.buyer.open() {
		stake += p.Msat
	}
	r.MostAtStake = max(r.MostAtStake, stake)
}

func (r *Report) differ(lane int, when string, list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range list {
		r.Differences = append(r.Differences, fmt.Sprintf("lane %d, %s: %s", lane, when, d))
	}
}

// add sums up a lane from its last look.
func (r *Report) add(l look, invoices, found int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Payments += len(l.buyer.purchases)
	for _, p := range l.buyer.purchases {
		switch p.State {
		case ledger.StateSucceeded:
			r.Succeeded++
		case ledger.StateFailed:
			r.Failed++
		}
	}
	r.Doubted += len(l.buyer.entries(ledger.KindUnknown))
	r.Found += found
	r.Credited += len(l.seller.settled())
	r.Invoices += invoices
	r.Passed += l.passed
	r.Charged += l.seller.totals.SoldBytes
	r.WrittenOff += l.buyer.totals.Paid - l.buyer.totals.CreditHeld - l.loss.price.Charge(l.buyer.totals.BoughtBytes)
}

// String is the report in full, over several lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d kills on %d lanes in %s\n", r.Seed, r.Kills(), r.Lanes, r.Took.Round(time.Second))
	fmt.Fprintf(&b, "  paygates:  %s\n", counts(r.Gates))
	fmt.Fprintf(&b, "  lightning: %s\n", counts(r.Nodes))
	fmt.Fprintf(&b, "  points:    %s\n", counts(r.Points))
	fmt.Fprintf(&b, "  not reached in time: %d %s\n", len(r.NotReached), strings.Join(r.NotReached, ", "))
	fmt.Fprintf(&b, "  payments:  %d reserved, %d succeeded, %d failed, %d still open; %d were unknown for a while, %d resolved after a crash or an outage\n",
		r.Payments, r.Succeeded, r.Failed, r.Payments-r.Succeeded-r.Failed, r.Doubted, r.Found)
	fmt.Fprintf(&b, "  invoices:  %d made, %d credited\n", r.Invoices, r.Credited)
	fmt.Fprintf(&b, "  bytes:     %s passed, %s charged; at most %s of a crash went uncharged, a purchase is %s at most; buyers wrote off %s\n",
		r.Passed, r.Charged, r.MostLost, r.Largest, r.WrittenOff)
	fmt.Fprintf(&b, "  at stake:  a seller owed at most %s of credit, a buyer had at most %s unused or unresolved\n", r.MostOwed, r.MostAtStake)
	fmt.Fprintf(&b, "  books reconciled %d times: %d differences", r.Looks, len(r.Differences))
	for _, d := range r.Differences {
		b.WriteString("\n    " + d)
	}
	return b.String()
}

func counts(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
