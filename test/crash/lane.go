package crash

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"paygate/lnclient"
	"paygate/test/light"
	"paygate/test/process"
	"paygate/units"
)

// lane is one seller and one buyer, and all that is between them.
type lane struct {
	Options
	number int
	dir    string
	plan   *plan
	report *Report
	ln     *Lightning

	seeder  *light.Seeder
	tap     *tap
	leecher *light.Leecher
	gates   map[role]*gate
	ask     map[role]*witness

	now   situation
	begun look // what does not change from one look to the next
	found map[units.PaymentHash]bool
	last  look
}

// Limits, to each of which the campaign's patience is added.
const (
	roundLimit = time.Minute      // for a paygate to arrive at its point
	restLimit  = 25 * time.Second // for the books to add up
	doubtLimit = time.Minute      // for every payment to be resolved
)

const tick = 5 * time.Millisecond

// open puts the lane together; both paygates are dead.
func (l *lane) open(ctx context.Context, hosts netip.Addr) error {
	l.gates, l.ask, l.found = map[role]*gate{}, map[role]*witness{}, map[units.PaymentHash]bool{}
	ip := hosts.As4()
	host := func(k int) string { ip[3] = byte(1 + 5*l.number + k); return netip.AddrFrom4(ip).String() }
	sells, err := freePort(host(0))
	if err != nil {
		return err
	}
	socks, err := freePort(host(1))
	if err != nil {
		return err
	}
	if l.seeder, err = light.NewSeeder(host(2)+":0", perSecond); err != nil {
		return err
	}
	if l.tap, err = newTap(host(3)+":0", sells); err != nil {
		return err
	}
	l.leecher = light.NewLeecher(l.torrent(0), socks, l.tap.address())
	if err := l.openGate(ctx, seller, l.ln.Seller, lnclient.SellPermissions(), sellerOptions(sells, l.seeder.Address(), l.torrents(), l.largest())); err != nil {
		return err
	}
	return l.openGate(ctx, buyer, l.ln.Buyer, lnclient.BuyPermissions(), buyerOptions(socks, l.largest()))
}

// freePort finds a port on an address that only this lane uses.
func freePort(host string) (string, error) {
	lis, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	return lis.Addr().String(), lis.Close()
}

// largest is the largest purchase: in every other lane all purchases are of one size, in the others they grow.
func (l *lane) largest() units.Msat {
	if l.number%2 == 0 {
		return purchase
	}
	return 4 * purchase
}

// torrent is one of those that the lane's leecher turns to.
func (l *lane) torrent(n uint32) units.InfoHash {
	ih := units.InfoHash{0xc5, byte(l.number)}
	binary.BigEndian.PutUint32(ih[16:], n)
	return ih
}

// torrents lists more of them than any campaign gets through: a rule has to name what it sells of a client that cannot be
// asked whether it is private.
func (l *lane) torrents() (list []string) {
	for n := range uint32(1000) {
		list = append(list, l.torrent(n).String())
	}
	return list
}

func sellerOptions(peers, client string, torrents []string, largest units.Msat) options {
	return options{
		"listen": options{"peers": peers}, "client": options{"address": client},
		"sell": options{"rules": []options{{
			"name": "crash", "torrents": torrents, "rights": "own", "price": price().String(),
			"sample": "0 B", "legacy": "choke", "min": purchase.String(), "max": largest.String(),
		}}},
	}
}

func buyerOptions(socks string, largest units.Msat) options {
	return options{
		"listen": options{"socks5": socks},
		"buy": options{
			"per_torrent": plenty.String(), "per_day": plenty.String(), "total": plenty.String(),
			"min": purchase.String(), "max": largest.String(),
			"rules": []options{{"name": "crash", "torrents": "any", "max_price": price().String()}},
		},
	}
}

func (l *lane) openGate(ctx context.Context, r role, n Node, rights []string, config options) (err error) {
	if l.ask[r], err = newWitness(n); err != nil {
		return err
	}
	a, err := l.ask[r].accounts(ctx)
	if err != nil {
		return err
	}
	if r == seller {
		l.begun.sellerHad = a.balance
	} else {
		l.begun.buyerHad = a.balance
	}
	l.begun.loss = allowance{price: price(), largest: l.largest()}
	dir := filepath.Join(l.dir, string(r))
	if config["lightning"], err = lightningOptions(ctx, dir, n, rights); err != nil {
		return err
	}
	l.gates[r], err = newGate(l.Program, dir, config)
	return err
}

// run plays the whole plan, then sees to the end.
func (l *lane) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	errs := make(chan error, 3)
	for _, run := range []func(context.Context) error{l.seeder.Run, l.tap.Run, l.leecher.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				errs <- err
			}
		})
	}
	for !l.plan.done() || l.armed() {
		if err := l.round(ctx); err != nil {
			return errors.Join(err, drained(errs))
		}
	}
	return errors.Join(l.end(ctx), drained(errs))
}

// armed reports that a paygate has yet to arrive at its point.
func (l *lane) armed() bool {
	for _, g := range l.gates {
		if !g.dead() && g.armed != "" {
			return true
		}
	}
	return false
}

func drained(errs <-chan error) error {
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// round revives whoever is dead, transfers until somebody dies or something has befallen the nodes, and reconciles.
func (l *lane) round(ctx context.Context) error {
	for _, r := range []role{seller, buyer} {
		if err := l.revive(r); err != nil {
			return err
		}
	}
	began := time.Now()
	l.leecher.Set(light.Greedy)
	trouble, err := l.transfer(ctx)
	l.leecher.Rest()
	if err != nil {
		return err
	}
	moved := time.Since(began)
	if err := l.reconcile(ctx, restLimit, "after a kill", look.differences); err != nil {
		return err
	}
	if trouble != nil {
		trouble.End(l.plan.rng.IntN(3) > 0)
		err = l.reconcile(ctx, restLimit, "after "+trouble.Name, look.differences)
	}
	l.Log("lane %2d: %5.1f s transferring, %4.1f s reconciling, %d open, %d msat apart, left %v %v %v", l.number, moved.Seconds(),
		(time.Since(began) - moved).Seconds(), len(l.last.buyer.open()), l.last.apart(), l.plan.points[seller], l.plan.points[buyer], l.plan.events)
	return err
}

// revive starts a dead paygate, armed with its next point.
func (l *lane) revive(r role) error {
	g := l.gates[r]
	if !g.dead() {
		return nil
	}
	point, extra := l.plan.choose(r, l.now)
	if extra {
		l.Log("lane %2d: %s's paygate dies once more, at %s", l.number, r, point)
	}
	return g.start(point)
}

// transfer goes on until a paygate has died or the next event has happened. It returns the trouble that is still on.
func (l *lane) transfer(ctx context.Context) (*Trouble, error) {
	rng, began := l.plan.rng, time.Now()
	upset := began.Add(time.Duration(rng.IntN(1500)) * time.Millisecond)
	strike := began.Add(time.Duration(50+rng.IntN(1500)) * time.Millisecond)
	limit := began.Add(roundLimit + l.Patience)
	both := rng.IntN(5) == 0
	eventful := l.plan.eventNow(l.now)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case now := <-ticker.C:
			switch {
			case l.gates[buyer].dead() || l.gates[seller].dead():
				if both {
					l.killRest()
				}
				return nil, nil
			case eventful && now.After(upset):
				return l.befall(ctx)
			case now.After(limit):
				l.giveUp()
			case now.After(strike):
				l.strike()
			}
		}
	}
}

// killRest kills who has outlived the other. What it was to die of comes another time.
func (l *lane) killRest() {
	for r, g := range l.gates {
		if g.dead() {
			continue
		}
		g.kill()
		if g.byHand && g.armed != "" {
			l.plan.putBack(r, g.armed)
		}
	}
}

// strike kills from outside what is to be killed so.
func (l *lane) strike() {
	for _, g := range l.gates {
		if g.armed == anywhere {
			g.kill()
		}
	}
}

// giveUp kills those who do not arrive.
func (l *lane) giveUp() {
	for r, g := range l.gates {
		if g.armed != "" {
			l.report.notReached(r, g.armed)
			l.Log("lane %2d: %s's paygate does not arrive at %s:\n%s", l.number, r, g.armed, g.tail())
			g.kill()
		}
	}
}

// befall lets the next event happen.
func (l *lane) befall(ctx context.Context) (*Trouble, error) {
	e, _ := l.plan.event()
	l.report.happened(e)
	if e.node != "" {
		return nil, l.killNode(ctx, e.node)
	}
	t := l.trouble(e.trouble)
	if t == nil {
		return nil, fmt.Errorf("this network cannot have the trouble %q", e.trouble)
	}
	t.Begin()
	wait(ctx, 2*time.Second)
	return t, nil
}

// killNode kills a node and brings it back. Now and then its paygate dies with it, and comes back before it.
func (l *lane) killNode(ctx context.Context, r role) error {
	n := l.ln.Buyer
	if r == seller {
		n = l.ln.Seller
	}
	pause := time.Duration(50+l.plan.rng.IntN(400)) * time.Millisecond
	if err := n.Kill(); err != nil {
		return err
	}
	wait(ctx, pause)
	if l.plan.rng.IntN(3) == 0 {
		if err := l.restart(r); err != nil {
			return err
		}
		wait(ctx, pause)
	}
	if err := n.Start(ctx); err != nil {
		return err
	}
	wait(ctx, 2*pause)
	return nil
}

// restart kills a paygate, unless it is dead already, and revives it at once.
func (l *lane) restart(r role) error {
	g := l.gates[r]
	armed := g.armed
	g.kill()
	if g.byHand && armed != "" {
		l.plan.putBack(r, armed)
	}
	return errors.Join(l.bury(r), l.revive(r))
}

func (l *lane) trouble(name string) *Trouble {
	for i := range l.ln.Troubles {
		if l.ln.Troubles[i].Name == name {
			return &l.ln.Troubles[i]
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// end resolves every payment, lets the two sides compare their books once more, and stops both paygates in good order.
func (l *lane) end(ctx context.Context) error {
	if err := errors.Join(l.revive(seller), l.revive(buyer)); err != nil {
		return err
	}
	l.awaitOutcomes(ctx)
	if err := l.reconcile(ctx, restLimit, "when all payments must be resolved", look.resolvedDifferences); err != nil {
		return err
	}
	l.leecher.Set(light.Greedy)
	wait(ctx, 2*time.Second)
	l.leecher.Set(light.Sated)
	drained, cancel := context.WithTimeout(ctx, restLimit+l.Patience)
	defer cancel()
	err := process.Poll(drained, 10*tick, func() error {
		if n := l.leecher.Outstanding(); n > 0 {
			return fmt.Errorf("%d requests have no answer", n)
		}
		return nil
	})
	l.leecher.Rest()
	if err != nil {
		l.report.differ(l.number, "at the end", []string{err.Error()})
	}
	l.awaitOutcomes(ctx)
	if err := l.reconcile(ctx, restLimit, "at the end", look.settledDifferences); err != nil {
		return err
	}
	_, invoices, err := l.ask[seller].settled(ctx)
	l.report.add(l.last, invoices, len(l.found))
	for _, g := range l.gates {
		err = errors.Join(err, g.stop(), g.checkLog())
	}
	return err
}

// close ends what is left of the lane.
func (l *lane) close() error {
	var errs []error
	for _, g := range l.gates {
		g.kill()
	}
	for _, w := range l.ask {
		errs = append(errs, w.close())
	}
	if l.seeder != nil {
		_ = l.seeder.Close() // closed already if the lane ran
	}
	if l.tap != nil {
		_ = l.tap.lis.Close()
	}
	return errors.Join(errs...)
}
