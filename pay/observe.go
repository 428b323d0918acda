package pay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"paygate/policy"
	"paygate/proxy"
	"paygate/units"
)

// Observed is what would have happened, had the rules been in force. Earned supposes that every peer had paid, and Spent
// that every seller had asked as much as the rule would pay.
type Observed struct {
	SoldBytes, BoughtBytes units.Bytes
	Earned, Spent          units.Msat
}

// observation sums up what observers see. It is forgotten with the process.
type observation struct {
	mu  sync.Mutex
	sum Observed
}

func (o *observation) add(more Observed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sum.SoldBytes += more.SoldBytes
	o.sum.BoughtBytes += more.BoughtBytes
	o.sum.Earned += more.Earned
	o.sum.Spent += more.Spent
}

// Observed returns what would have been earned and spent since the start, and false unless the Desk only observes.
func (d *Desk) Observed() (Observed, bool) {
	d.observation.mu.Lock()
	defer d.observation.mu.Unlock()
	return d.observation.sum, d.cfg.Observe
}

// glimpse decides how a connection is treated where rules are only observed: nothing is withheld and nobody is denied.
func (d *Desk) glimpse(rules *rules, f policy.Facts) proxy.Treatment {
	if rules.selling.Concerns(f) || rules.buying.MightPay(f) {
		return proxy.Watched
	}
	return proxy.Free
}

// observer counts what passes in one session and tells what it would have cost. It offers no extension and withholds
// nothing.
type observer struct {
	affair
	desk             *Desk
	link             Link
	served, received atomic.Int64
	whole            atomic.Bool // our client has every piece

	sold, bought meterLine
	sampled      units.Bytes
	seen         [2]int64 // of served and received: looked at
}

func newObserver(d *Desk, link Link) *observer {
	o := &observer{affair: affair{of: d.rounds}, desk: d, link: link}
	o.who = o
	return o
}

// meterLine adds up bytes at a price; a new price begins a new sum, since rounding happens once for each.
type meterLine struct {
	price units.Price
	bytes units.Bytes
}

// add returns what n more bytes cost.
func (l *meterLine) add(n units.Bytes, price units.Price) units.Msat {
	if price != l.price {
		*l = meterLine{price: price}
	}
	was := price.Charge(l.bytes)
	l.bytes += n
	return price.Charge(l.bytes) - was
}

// Adverts offers nothing.
func (o *observer) Adverts() []proxy.Advert { return nil }

// Request lets everything pass.
func (o *observer) Request(int) bool { return true }

// Release has nothing to give back.
func (o *observer) Release(int) {}

// Moved counts.
func (o *observer) Moved(n int, out, _ bool) {
	if out {
		o.served.Add(int64(n))
	} else {
		o.received.Add(int64(n))
	}
}

// Notify learns whether our client has completed the torrent.
func (o *observer) Notify(e proxy.Event) {
	if e.Kind == proxy.ClientHas {
		o.whole.Store(e.Complete)
	}
}

// Message never comes: nothing is offered.
func (o *observer) Message(int, []byte) {}

// Begin has it count every second.
func (o *observer) Begin() { o.begin() }

// End counts what is left.
func (o *observer) End() {
	o.end()
	o.count()
}

func (o *observer) look(context.Context, time.Time) time.Duration {
	o.count()
	return settleEvery
}

func (o *observer) count() {
	out, in := o.served.Load(), o.received.Load()
	served, received := units.Bytes(out-o.seen[0]), units.Bytes(in-o.seen[1])
	o.seen = [2]int64{out, in}
	if served+received == 0 {
		return
	}
	r := o.desk.rules()
	f := policy.Facts{InfoHashes: []units.InfoHash{o.link.InfoHash()}, Remote: o.link.Remote().Addr(), Initiator: o.link.Initiator(), ClientID: o.link.RemoteID()}
	o.desk.look(&f)
	var more Observed
	if sale := r.selling.Decide(f); !sale.Free && !sale.Deny && (sale.Rule.When == "always" || o.whole.Load()) {
		rule := r.offers.priced(sale)
		free := min(served, max(0, rule.Sample-o.sampled))
		o.sampled += free
		more.SoldBytes = served - free
		more.Earned = o.sold.add(more.SoldBytes, rule.Price)
	}
	if ceiling, pays := r.pays(f); pays {
		more.BoughtBytes = received
		more.Spent = o.bought.add(received, ceiling)
	}
	o.desk.observation.add(more)
}
