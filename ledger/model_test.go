package ledger

import (
	"cmp"
	"math/big"
	"slices"
	"time"

	"paygate/units"
)

// model is the ledger as one would keep it in memory: plain lists, every sum counted anew, prices in big fractions.
type model struct {
	invoices  []modelInvoice
	lots      []*modelLot
	served    map[tallyKey]units.Bytes
	samples   []modelSample
	cursor    uint64
	purchases []*modelPurchase
	received  map[tallyKey][2]units.Bytes // all, free
	losses    []modelLoss
}

type tallyKey struct {
	party int
	ih    int
	price units.Price
}

type modelInvoice struct {
	id, buyer, ih int
	price         units.Price
	expires       time.Time
	settled       bool
}

type modelLot struct {
	buyer, ih   int
	price       units.Price
	msat, spent units.Msat
}

type modelSample struct {
	ih, day int
	bytes   units.Bytes
}

type modelPurchase struct {
	id, seller, ih int
	category       string
	msat, feeLimit units.Msat
	expires        time.Time
	state          string
	fee            units.Msat
	done           time.Time
	late           bool // it succeeded after it was written off, whatever the caps say
}

type modelLoss struct {
	seller, ih, day int
	msat            units.Msat
	missed          bool
}

func newModel() *model {
	return &model{served: map[tallyKey]units.Bytes{}, received: map[tallyKey][2]units.Bytes{}}
}

// cost is ceil(bytes × price), the slow way.
func cost64(p units.Price, b units.Bytes) units.Msat {
	if p.Msat == 0 {
		return 0
	}
	n := new(big.Int).Mul(big.NewInt(int64(p.Msat)), big.NewInt(int64(b)))
	q, r := n.QuoRem(n, big.NewInt(int64(p.Per)), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return units.Msat(q.Int64())
}

func (m *model) paid(buyer int) (sum units.Msat) {
	for _, l := range m.lots {
		if l.buyer == buyer {
			sum += l.msat
		}
	}
	return sum
}

func (m *model) charged(buyer int) (sum units.Msat) {
	for k, b := range m.served {
		if k.party == buyer {
			sum += cost64(k.price, b)
		}
	}
	return sum
}

func (m *model) balance(buyer int) units.Msat { return m.paid(buyer) - m.charged(buyer) }

// spend takes amount out of the buyer's lots, the best suited first.
func (m *model) spend(k tallyKey, amount units.Msat) {
	var own []*modelLot
	for _, l := range m.lots {
		if l.buyer == k.party {
			own = append(own, l)
		}
	}
	rank := func(l *modelLot) int {
		switch {
		case l.ih == k.ih && l.price == k.price:
			return 0
		case l.ih == k.ih:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(own, func(a, b *modelLot) int { return cmp.Compare(rank(a), rank(b)) })
	for _, l := range own {
		take := min(amount, l.msat-l.spent)
		l.spent += take
		amount -= take
	}
}

func (m *model) charge(k tallyKey, b units.Bytes) (delta units.Msat) {
	before := cost64(k.price, m.served[k])
	m.served[k] += b
	delta = cost64(k.price, m.served[k]) - before
	m.spend(k, delta)
	return delta
}

// settle returns the invoice that was credited, nil if none.
func (m *model) settle(id int, msat units.Msat, index uint64) *modelInvoice {
	m.cursor = max(m.cursor, index)
	for i := range m.invoices {
		v := &m.invoices[i]
		if v.id != id || v.settled {
			continue
		}
		v.settled = true
		debt := max(0, -m.balance(v.buyer))
		m.lots = append(m.lots, &modelLot{v.buyer, v.ih, v.price, msat, min(debt, msat)})
		return v
	}
	return nil
}

func (m *model) openInvoice(buyer, ih int, now time.Time) (id int, found bool) {
	for _, v := range m.invoices {
		if v.buyer == buyer && v.ih == ih && !v.settled && v.expires.After(now) {
			id, found = v.id, true
		}
	}
	return id, found
}

// used counts the slow way; the days, as in 2026-03-01, are those on which the week and the month begin.
func (m *model) used(ih, seller int, category string, zone *time.Location, day, week, month string) (u used) {
	for _, p := range m.purchases {
		n, done := p.msat+p.feeLimit, "open"
		switch p.state {
		case StateFailed, StateWrittenOff:
			continue
		case StateSucceeded:
			n, done = p.msat+p.fee, p.done.In(zone).Format(time.DateOnly)
		}
		u.total += n
		if p.ih == ih {
			u.torrent += n
		}
		for _, k := range []struct {
			sum    *units.Msat
			counts bool
		}{{&u.day, done >= day}, {&u.week, done >= week}, {&u.month, done >= month}, {&u.peer, p.seller == seller}, {&u.category, p.category == category}} {
			if k.counts {
				*k.sum += n
			}
		}
	}
	u.category = max(u.category, u.torrent)
	return u
}

func (m *model) purse(seller int) (p Purse) {
	p.Seller = peer(seller)
	for _, x := range m.purchases {
		if x.seller != seller {
			continue
		}
		p.Purchases++
		switch x.state {
		case StateSucceeded:
			p.Paid += x.msat
			p.Fees += x.fee
		case StateFailed:
			p.Failed++
		case StateWrittenOff:
		default:
			p.Pending += x.msat + x.feeLimit
		}
	}
	for k, b := range m.received {
		if k.party == seller {
			p.Charged += cost64(k.price, b[0]-b[1])
			p.Received += b[0]
			p.Free += b[1]
		}
	}
	for _, x := range m.losses {
		if x.seller == seller {
			p.WrittenOff += x.msat
			if x.missed {
				p.Missed += x.msat
			}
		}
	}
	p.Balance = p.Paid - p.Charged - p.WrittenOff
	return p
}

func (m *model) totals(parties int) (t Totals) {
	t.PaymentsIn = len(m.lots)
	for n := range parties {
		t.Received += m.paid(n)
		t.Earned += m.charged(n)
		t.CreditOwed += max(0, m.balance(n))
		t.Debt += max(0, -m.balance(n))
		p := m.purse(n)
		t.Paid += p.Paid
		t.Fees += p.Fees
		t.Pending += p.Pending
		t.BoughtBytes += p.Received - p.Free
		t.FreeBytes += p.Free
		t.CreditHeld += max(0, p.Balance)
	}
	for _, b := range m.served {
		t.SoldBytes += b
	}
	for _, s := range m.samples {
		t.SampleBytes += s.bytes
	}
	for _, p := range m.purchases {
		if p.state == StateSucceeded {
			t.PaymentsOut++
		}
		if p.state == StateUnknown {
			t.Unknown++
		}
	}
	return t
}
