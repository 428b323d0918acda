package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/units"
)

// world is a ledger and the model that it must agree with.
type world struct {
	l    *Ledger
	path string
	w    *wall
	m    *model
	caps Caps
	next int // the number of the next payment
}

const parties, torrents = 3, 2

var (
	drawCap     = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 40000)) // 0: none
	drawLabel   = rapid.SampledFrom([]string{"", "films"})
	drawParty   = rapid.IntRange(0, parties-1)
	drawTorrent = rapid.IntRange(0, torrents-1)
	drawAmount  = rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Int64Range(1, 50))
	drawBytes   = rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(0, 3))
	drawPrice   = rapid.SampledFrom([]units.Price{oneSatPerKiB, {Msat: 1, Per: 3}, {Msat: 7, Per: 5}, {}})
)

func TestLedgerAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		check(rt, err)
		x := &world{path: filepath.Join(dir, "ledger.db"), w: newWall(), m: newModel()}
		x.caps = Caps{
			Torrent: units.Msat(rapid.Int64Range(0, 20000).Draw(rt, "cap per torrent")),
			Day:     units.Msat(rapid.Int64Range(0, 20000).Draw(rt, "cap per day")),
			Total:   units.Msat(rapid.Int64Range(0, 40000).Draw(rt, "cap in total")),

			Peer:     units.Msat(drawCap.Draw(rt, "cap per peer")),
			Category: units.Msat(drawCap.Draw(rt, "cap per category")),
			Week:     units.Msat(drawCap.Draw(rt, "cap per week")),
			Month:    units.Msat(drawCap.Draw(rt, "cap per month")),
			Zone:     rapid.SampledFrom(zones(rt)).Draw(rt, "zone"),
		}
		x.l = reopen(rt, x.path, x.w)
		defer func() { check(rt, x.l.Close()) }()
		rt.Repeat(map[string]func(*rapid.T){
			"invoice": x.invoice, "settle": x.settle, "charge": x.charge, "sample": x.sample,
			"reserve": x.reserve, "step": x.step, "receive": x.receive, "write off": x.writeOff,
			"wait": x.wait, "reopen": x.reopen, "compare": x.compare, "compact": x.compact,
		})
		x.compare(rt)
		check(rt, x.l.Verify(context.Background()))
	})
}

// zones are some whose days begin at other times than those of UTC.
func zones(t failer) (list []*time.Location) {
	for _, name := range []string{"UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns"} {
		zone, err := time.LoadLocation(name)
		check(t, err)
		list = append(list, zone)
	}
	return list
}

func (x *world) day() int { return int(x.w.t.UnixMilli() / msPerDay) }

func (x *world) wait(t *rapid.T) {
	x.w.t = x.w.t.Add(time.Duration(rapid.Int64Range(1, 30).Draw(t, "hours")) * time.Hour)
}

func (x *world) reopen(t *rapid.T) {
	check(t, x.l.Close())
	x.l = reopen(t, x.path, x.w)
}

func (x *world) invoice(t *rapid.T) {
	v := modelInvoice{
		id: x.next, buyer: drawParty.Draw(t, "buyer"), ih: drawTorrent.Draw(t, "torrent"),
		price: drawPrice.Draw(t, "price"), expires: x.w.t.Add(time.Hour),
	}
	x.next++
	i := invoice(x.w, v.id, v.buyer, v.ih, units.Msat(drawAmount.Draw(t, "msat")))
	i.Price = v.price
	check(t, x.l.AddInvoice(context.Background(), i))
	x.m.invoices = append(x.m.invoices, v)
}

// settle takes any payment, ours or not, new or settled before.
func (x *world) settle(t *rapid.T) {
	id := rapid.IntRange(-1, x.next).Draw(t, "payment")
	s := settlement(id, units.Msat(drawAmount.Draw(t, "msat")), uint64(rapid.IntRange(0, 50).Draw(t, "index")))
	c, credited, err := x.l.Settle(context.Background(), s)
	check(t, err)
	v := x.m.settle(id, s.Msat, s.SettleIndex)
	equal(t, "credited", credited, v != nil)
	if v != nil {
		equal(t, "credit", c, Credited{peer(v.buyer), torrent(v.ih), v.price, s.Msat, x.m.balance(v.buyer)})
	}
}

func (x *world) charge(t *rapid.T) {
	k := tallyKey{drawParty.Draw(t, "buyer"), drawTorrent.Draw(t, "torrent"), drawPrice.Draw(t, "price")}
	b := units.Bytes(drawBytes.Draw(t, "bytes"))
	delta, balance, err := x.l.Charge(context.Background(), Charge{peer(k.party), torrent(k.ih), k.price, b, rapid.Bool().Draw(t, "on credit")})
	check(t, err)
	equal(t, "delta", delta, x.m.charge(k, b))
	equal(t, "balance", balance, x.m.balance(k.party))
}

func (x *world) sample(t *rapid.T) {
	s := modelSample{drawTorrent.Draw(t, "torrent"), x.day(), units.Bytes(drawBytes.Draw(t, "bytes"))}
	check(t, x.l.UseSample(context.Background(), torrent(s.ih), subnet, s.bytes))
	x.m.samples = append(x.m.samples, s)
}

func (x *world) reserve(t *rapid.T) {
	p := &modelPurchase{
		id: x.next, seller: drawParty.Draw(t, "seller"), ih: drawTorrent.Draw(t, "torrent"),
		msat: units.Msat(drawAmount.Draw(t, "msat")), feeLimit: units.Msat(rapid.Int64Range(0, 100).Draw(t, "fee limit")),
		expires: x.w.t.Add(time.Hour), state: StateIntent, category: drawLabel.Draw(t, "category"),
	}
	again := len(x.m.purchases) > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0
	if again {
		p.id = rapid.SampledFrom(x.m.purchases).Draw(t, "purchase").id
	}
	x.next++
	fits := p.msat+p.feeLimit <= x.room(p.ih, p.seller, p.category)
	in := intent(x.w, p.id, p.seller, p.ih, p.msat, p.feeLimit)
	in.Category = p.category
	err := x.l.Reserve(context.Background(), in, x.caps)
	var over *OverCap
	switch {
	case again:
		equal(t, "seen", errors.Is(err, ErrSeenHash), true)
	case !fits:
		equal(t, "over a cap", errors.As(err, &over), true)
	default:
		check(t, err)
		x.m.purchases = append(x.m.purchases, p)
	}
}

// used asks the model, which does not compute when a week and a month begin: it goes back day by day.
func (x *world) used(ih, seller int, category string) used {
	now := x.w.t.In(x.caps.Zone)
	week, month := now, now
	for week.Weekday() != time.Monday {
		week = week.AddDate(0, 0, -1)
	}
	for month.Day() != 1 {
		month = month.AddDate(0, 0, -1)
	}
	return x.m.used(ih, seller, category, x.caps.Zone, now.Format(time.DateOnly), week.Format(time.DateOnly), month.Format(time.DateOnly))
}

// room is what the tightest cap leaves; negative above one.
func (x *world) room(ih, seller int, category string) units.Msat {
	u, c := x.used(ih, seller, category), x.caps
	room := min(c.Torrent-u.torrent, c.Day-u.day, c.Total-u.total)
	for _, k := range [][2]units.Msat{{c.Peer, u.peer}, {c.Category, u.category}, {c.Week, u.week}, {c.Month, u.month}} {
		if k[0] > 0 {
			room = min(room, k[0]-k[1])
		}
	}
	return room
}

func (x *world) step(t *rapid.T) {
	if len(x.m.purchases) == 0 {
		t.Skip("no purchases")
	}
	p := rapid.SampledFrom(x.m.purchases).Draw(t, "purchase")
	to := rapid.SampledFrom([]string{StateSent, StateSucceeded, StateFailed, StateUnknown, StateWrittenOff}).Draw(t, "to")
	fee := units.Msat(rapid.Int64Range(0, int64(p.feeLimit)).Draw(t, "fee"))
	var err error
	switch ctx := context.Background(); to {
	case StateSucceeded:
		var first bool
		first, err = x.l.Succeed(ctx, payment(p.id), fee, units.Preimage{1})
		equal(t, "first", first, slices.Contains(steps[p.state], to))
	default:
		err = turn(x.l, p.id, to)
	}
	if refused := (*StateError)(nil); errors.As(err, &refused) {
		equal(t, "state", refused.From, p.state)
		return
	}
	if errors.Is(err, ErrNotExpired) {
		equal(t, "expired", p.expires.Before(x.w.t), false)
		return
	}
	check(t, err)
	if p.state != to {
		p.late = p.late || p.state == StateWrittenOff && to == StateSucceeded
		p.state, p.fee, p.done = to, fee, x.w.t
	}
}

func (x *world) receive(t *rapid.T) {
	k := tallyKey{drawParty.Draw(t, "seller"), drawTorrent.Draw(t, "torrent"), drawPrice.Draw(t, "price")}
	b := drawBytes.Draw(t, "bytes")
	free := rapid.Int64Range(0, b).Draw(t, "free")
	check(t, x.l.Receive(context.Background(), Receipt{peer(k.party), torrent(k.ih), k.price, units.Bytes(b), units.Bytes(free)}))
	had := x.m.received[k]
	x.m.received[k] = [2]units.Bytes{had[0] + units.Bytes(b), had[1] + units.Bytes(free)}
}

func (x *world) writeOff(t *rapid.T) {
	loss := modelLoss{drawParty.Draw(t, "seller"), drawTorrent.Draw(t, "torrent"), x.day(), units.Msat(drawAmount.Draw(t, "msat")), false}
	write := x.l.WriteOff
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		loss.msat = -loss.msat
	case 1:
		loss.missed, write = true, x.l.Miss
	}
	err := write(context.Background(), peer(loss.seller), torrent(loss.ih), loss.msat, "")
	if p := x.m.purse(loss.seller); loss.msat > max(0, p.Balance) || loss.msat < 0 && p.WrittenOff+loss.msat < -p.Charged {
		equal(t, "refused", errors.Is(err, ErrNotHeld), true)
		return
	}
	check(t, err)
	x.m.losses = append(x.m.losses, loss)
}

// compare holds everything that can be asked of the ledger against the model.
func (x *world) compare(t *rapid.T) {
	ctx := context.Background()
	for n := range parties {
		a, err := x.l.Account(ctx, peer(n))
		check(t, err)
		equal(t, "account", []units.Msat{a.Paid, a.Charged, a.Balance}, []units.Msat{x.m.paid(n), x.m.charged(n), x.m.balance(n)})
		var lots []Lot
		for _, l := range x.m.lots {
			if l.buyer == n && l.spent < l.msat {
				lots = append(lots, Lot{InfoHash: torrent(l.ih), Price: l.price, Msat: l.msat, Spent: l.spent})
			}
		}
		for i := range a.Lots {
			a.Lots[i].ID = 0
		}
		equal(t, "lots", a.Lots, lots)
		p, err := x.l.Purse(ctx, peer(n))
		check(t, err)
		equal(t, "purse", p, x.m.purse(n))
	}
	for n := range torrents {
		x.compareTorrent(t, n)
	}
	totals, err := x.l.Totals(ctx)
	check(t, err)
	equal(t, "totals", totals, x.m.totals(parties))
	equal(t, "money in is used, owed or credit", totals.Received+totals.Debt, totals.Earned+totals.CreditOwed)
	index, err := x.l.SettleIndex(ctx)
	check(t, err)
	equal(t, "cursor", index, x.m.cursor)
}

func (x *world) compareTorrent(t *rapid.T, n int) {
	ctx := context.Background()
	late := slices.ContainsFunc(x.m.purchases, func(p *modelPurchase) bool { return p.late })
	for seller := range parties {
		room := x.room(n, seller, "films")
		if !late && room < 0 {
			t.Fatalf("a cap of %+v is exceeded: %+v", x.caps, x.used(n, seller, "films"))
		}
		left, err := x.l.Left(ctx, Payee{torrent(n), peer(seller), "films"}, x.caps)
		check(t, err)
		equal(t, "left", left, max(0, room))
	}
	var want Sample
	for _, s := range x.m.samples {
		if s.day == x.day() {
			want.Day += s.bytes
		}
		if s.ih == n {
			want.Subnet += s.bytes
		}
		if s.ih == n && s.day == x.day() {
			want.TorrentDay += s.bytes
		}
	}
	s, err := x.l.SampleUsed(ctx, torrent(n), subnet)
	check(t, err)
	equal(t, "samples", s, want)
	var lost [2]units.Msat
	for seller := range parties {
		var here, today units.Msat
		for _, loss := range x.m.losses {
			if loss.missed {
				continue
			}
			if loss.seller == seller && loss.ih == n {
				here += loss.msat
			}
			if loss.seller == seller && loss.day >= x.day() {
				today += loss.msat
			}
		}
		lost[0] += max(0, here)
		lost[1] += max(0, today)
	}
	here, today, err := x.l.WrittenOff(ctx, torrent(n))
	check(t, err)
	equal(t, "losses", [2]units.Msat{here, today}, lost)
	for b := range parties {
		i, found, err := x.l.OpenInvoice(ctx, peer(b), torrent(n))
		check(t, err)
		id, open := x.m.openInvoice(b, n, x.w.t)
		equal(t, "open invoice", found, open)
		if found {
			equal(t, "open invoice", i.Hash, payment(id))
		}
	}
}
