package pay

import (
	"context"
	"net/netip"
	"time"

	"paygate/fault"
	"paygate/ledger"
	"paygate/policy"
	"paygate/units"
)

// kind says on what terms bytes may be served.
type kind uint8

const (
	given     kind = iota // free sample
	throttled             // free, at a trickle
	bartered              // against bytes that came from this peer
	indulged              // free, because our node is down and the owner would rather serve than hold
	sold                  // against credit
)

// batch is a number of bytes that may be served on the same terms.
type batch struct {
	kind  kind
	bytes units.Bytes
	price units.Price // of sold bytes
}

// stock is what one session may still serve, in the order in which it is used up. It mirrors the meter:
// meter.avail = sum of the batches - (served - settled) - what is reserved.
type stock struct {
	c        *conversation
	buyer    units.PeerKey // zero until the buyer has said hello
	subnet   netip.Prefix
	batches  []batch
	settled  int64 // of meter.served: already written to the ledger
	traded   int64 // of meter.wanted: already turned into bartered bytes
	recalled bool  // what an earlier connection has left of them was added
	earned   units.Msat
	balance  units.Msat  // of the buyer's account, after what has been settled
	line     units.Msat  // how far below zero it may go
	volume   units.Bytes // that the buyer has been charged for, at the last look
}

// settle writes down what was served since the last time. What cannot be written stays unsettled: it uses up the
// lease until it can.
func (s *stock) settle(ctx context.Context) {
	n := units.Bytes(s.c.served.Load() - s.settled)
	if s.c.seller.free {
		s.settled += int64(n)
		return
	}
	for n > 0 && len(s.batches) > 0 {
		b := &s.batches[0]
		part := min(n, b.bytes)
		if !s.book(ctx, b.kind, part, b.price) {
			return
		}
		n -= part
		b.bytes -= part
		if b.bytes == 0 {
			s.batches = s.batches[1:]
		}
	}
	if n > 0 && s.book(ctx, s.overrunKind(), n, s.c.seller.rule.Price) { // blocks sent after a choke, beyond all credit
		s.c.avail.Add(int64(n)) // the books have it now; the next lease is that much smaller
	}
}

func (s *stock) overrunKind() kind {
	if s.buyer.IsZero() {
		return given
	}
	return sold
}

// book writes down n served bytes, and reports whether they are settled by that.
func (s *stock) book(ctx context.Context, k kind, n units.Bytes, price units.Price) bool {
	ctx = context.WithoutCancel(ctx) // the end of the session must not lose the charge
	var err error
	switch k {
	case given:
		if err = s.c.desk.ledger.UseSample(ctx, s.c.link.InfoHash(), s.subnet, n); err == nil {
			s.c.desk.leases.gave(s.c, n)
		}
	case sold:
		var delta units.Msat
		fault.Point(fault.ChargeBefore)
		var balance units.Msat
		delta, balance, err = s.c.desk.ledger.Charge(ctx, ledger.Charge{
			Buyer: s.buyer, InfoHash: s.c.link.InfoHash(), Price: price, Bytes: n, OnCredit: s.line > 0,
		})
		fault.Point(fault.ChargeAfter)
		if err == nil {
			s.earned += delta
			s.balance = balance
		}
	default:
		s.settled += int64(n)
		return true
	}
	s.c.desk.wrote(err)
	if err != nil {
		return false
	}
	s.settled += int64(n)
	return true
}

// left counts the bytes of some kinds that have not been served.
func (s *stock) left(kinds ...kind) (n units.Bytes) {
	for _, b := range s.batches {
		for _, k := range kinds {
			if b.kind == k {
				n += b.bytes
			}
		}
	}
	return n
}

// replace puts other batches of kind k behind those of other kinds and lets the meter follow.
func (s *stock) replace(k kind, fresh []batch) (grown bool) {
	before := s.left(k)
	kept := make([]batch, 0, len(s.batches)+len(fresh))
	for _, b := range s.batches {
		if b.kind != k {
			kept = append(kept, b)
		}
	}
	s.batches = append(kept, fresh...)
	delta := s.left(k) - before
	s.c.avail.Add(int64(delta))
	return delta > 0
}

// leaseSample takes the free bytes that this peer's subnet may still have.
func (s *stock) leaseSample(ctx context.Context) (grown bool) {
	d, ih, rule := s.c.desk, s.c.link.InfoHash(), s.c.seller.rule
	if rule.Sample == 0 || !d.writable(ctx, time.Now()) {
		return false
	}
	n, err := d.leases.takeSample(s.c, ih, s.subnet, func(held sampled) (units.Bytes, error) {
		used, err := d.ledger.SampleUsed(ctx, ih, s.subnet)
		return d.rules().selling.SampleLeft(*rule, policy.Used{
			Subnet: used.Subnet + held.subnet, TorrentDay: used.TorrentDay + held.torrent, Day: used.Day + held.all,
		}), err
	})
	if err != nil {
		s.c.warn(ctx, "free samples cannot be counted, so none are given", err)
		return false
	}
	var fresh []batch
	if n > 0 {
		fresh = []batch{{kind: given, bytes: n}}
	}
	grown = s.replace(given, fresh)
	s.freeFirst()
	return grown
}

// barter adds what the peer has given to what it may have.
func (s *stock) barter(ctx context.Context, when string) (grown bool) {
	n := s.trade(when)
	if n <= 0 {
		return false
	}
	s.settle(ctx)
	grown = s.replace(bartered, []batch{{kind: bartered, bytes: min(maxBarter, s.left(bartered)+n)}})
	s.freeFirst()
	return grown
}

// indulgence is how much one session is given at a time while the node is down.
const indulgence = 4 * units.MiB

// indulge serves on while nobody can pay, as far as the owner goes along.
func (s *stock) indulge(ctx context.Context) (grown bool) {
	if s.left(indulged) > indulgence/2 {
		return false
	}
	got := s.c.desk.indulge(int64(indulgence))
	if got == 0 {
		return false
	}
	s.settle(ctx)
	grown = s.replace(indulged, []batch{{kind: indulged, bytes: s.left(indulged) + units.Bytes(got)}})
	s.freeFirst()
	return grown
}

// freeFirst moves free bytes to the front: nobody pays while there are any.
func (s *stock) freeFirst() {
	var first, rest []batch
	for _, b := range s.batches {
		if b.kind != sold {
			first = append(first, b)
		} else {
			rest = append(rest, b)
		}
	}
	s.batches = append(first, rest...)
}

// leaseCredit settles, then takes as much of the buyer's account as one session may hold: one purchase. What the credit
// line adds is sold at the current price.
func (s *stock) leaseCredit(ctx context.Context) (grown bool) {
	s.settle(ctx)
	d := s.c.desk
	if !d.writable(ctx, time.Now()) {
		return false
	}
	var acct ledger.Account
	got, err := d.leases.take(s.c, s.buyer, func() (balance, want units.Msat, err error) {
		if acct, err = d.ledger.Account(ctx, s.buyer); err != nil {
			return 0, 0, err
		}
		s.line = s.credible(ctx, acct, time.Now())
		funds := acct.Balance + s.line
		return funds, policy.Lease(funds, acct.LastPurchase, s.c.seller.rule.Max), nil
	})
	if err != nil {
		s.c.warn(ctx, "the buyer's account cannot be read", err)
		return false
	}
	s.balance, s.volume = acct.Balance, volume(acct)
	return s.replace(sold, draw(acct, s.c.link.InfoHash(), s.c.seller.rule.Price, got))
}

// volume is what a buyer has been charged for, on all torrents.
func volume(acct ledger.Account) (n units.Bytes) {
	for _, t := range acct.Tallies {
		n += t.Bytes
	}
	return n
}

// draw turns an amount of an account's credit into bytes of one torrent: lots that were bought for it at their own
// price, oldest first, then everything else at the current price.
func draw(acct ledger.Account, ih units.InfoHash, current units.Price, amount units.Msat) []batch {
	var out []batch
	take := func(price units.Price, have units.Msat) {
		m := min(have, amount)
		if m <= 0 {
			return
		}
		amount -= m
		if last := len(out) - 1; last >= 0 && out[last].price == price {
			m += lotValue(acct, ih, out[last])
			out = out[:last]
		}
		out = append(out, batch{kind: sold, price: price, bytes: affordable(acct, ih, price, m)})
	}
	for _, lot := range acct.Lots {
		if lot.InfoHash == ih {
			take(lot.Price, lot.Msat-lot.Spent)
		}
	}
	take(current, amount)
	return trim(out)
}

// affordable is how many bytes m buys on top of what was charged at this price before, so that rounding up happens
// once for the whole account and not once a purchase.
func affordable(acct ledger.Account, ih units.InfoHash, price units.Price, m units.Msat) units.Bytes {
	done := tally(acct, ih, price)
	return max(0, price.Buys(price.Charge(done)+m)-done)
}

// lotValue is what a batch costs on top of what was charged before.
func lotValue(acct ledger.Account, ih units.InfoHash, b batch) units.Msat {
	done := tally(acct, ih, b.price)
	return b.price.Charge(done+b.bytes) - b.price.Charge(done)
}

func tally(acct ledger.Account, ih units.InfoHash, price units.Price) units.Bytes {
	for _, t := range acct.Tallies {
		if t.InfoHash == ih && t.Price == price {
			return t.Bytes
		}
	}
	return 0
}

func trim(in []batch) []batch {
	out := in[:0]
	for _, b := range in {
		if b.bytes > 0 {
			out = append(out, b)
		}
	}
	return out
}

// subnetOf is the neighbourhood that shares a free sample: /24 in IPv4, /48 in IPv6.
func subnetOf(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}
