package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paygate/test/process"
)

// errDiffers ends a lane whose books do not add up: every later look would say so again.
var errDiffers = errors.New("the books do not add up")

// reconcile waits for rest and until nothing differs any more. What still differs at the limit is reported.
func (l *lane) reconcile(ctx context.Context, limit time.Duration, when string, differences func(look) []string) error {
	waiting, cancel := context.WithTimeout(ctx, limit+l.Patience)
	defer cancel()
	var wrong []string
	err := process.Poll(waiting, 4*tick, func() error {
		found, err := l.look(ctx)
		if err != nil {
			wrong = []string{err.Error()}
			return err
		}
		if wrong = differences(found); len(wrong) > 0 {
			return errDiffers
		}
		l.accept(found)
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		l.report.differ(l.number, when, wrong)
		return fmt.Errorf("%s: %w", when, errDiffers)
	}
	return nil
}

var errOpen = errors.New("payments are open")

// awaitOutcomes waits until no payment is open, as long as that may take. What is open then is for a look to judge.
func (l *lane) awaitOutcomes(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, doubtLimit+l.Patience)
	defer cancel()
	_ = process.Poll(ctx, 20*tick, func() error {
		found, err := l.look(ctx)
		if err == nil && len(found.buyer.open()) > 0 {
			err = errOpen
		}
		return err
	})
}

// lostEnough is how much a buyer may write off on a torrent before it turns to another. What it loses to its own crashes
// and to cut connections counts as losses to the seller, and at 50 sat it would buy nothing more of it.
const lostEnough = 2 * purchase

// accept makes a look the one that the next is measured from.
func (l *lane) accept(found look) {
	l.report.looked(found)
	l.last = found
	l.begun.loss.before, l.begun.loss.crashes = found.lost(), 0
	for _, p := range found.buyer.open() {
		l.found[p.Hash] = true
	}
	if found.buyer.lostOn(l.leecher.Wants()) >= lostEnough {
		l.leecher.Turn()
	}
	l.now = situation{open: len(found.buyer.open()) > 0, apart: found.apart() > 1}
}

var errNotAtRest = errors.New("not at rest")

// look gathers everything, if nothing is being transferred.
func (l *lane) look(ctx context.Context) (found look, err error) {
	if err := l.atRest(ctx); err != nil {
		return found, err
	}
	found = l.begun
	found.buyerUp, found.sellerUp = !l.gates[buyer].dead(), !l.gates[seller].dead()
	if found.buyer, err = readBooks(ctx, l.gates[buyer].ledger(), found.buyerUp); err != nil {
		return found, fmt.Errorf("buyer's ledger: %w", err)
	}
	if found.seller, err = readBooks(ctx, l.gates[seller].ledger(), found.sellerUp); err != nil {
		return found, fmt.Errorf("seller's ledger: %w", err)
	}
	found.passed = l.tap.bytes()
	if err := l.askNodes(ctx, &found); err != nil {
		return found, err
	}
	if found.buyerUp == l.gates[buyer].dead() || found.sellerUp == l.gates[seller].dead() {
		return found, errNotAtRest // somebody died meanwhile
	}
	return found, nil
}

func (l *lane) askNodes(ctx context.Context, found *look) (err error) {
	found.payments = make(map[string]payment, len(found.buyer.purchases))
	for _, p := range found.buyer.purchases {
		if found.payments[p.Hash.String()], err = l.ask[buyer].payment(ctx, p.Hash); err != nil {
			return err
		}
	}
	if found.invoices, _, err = l.ask[seller].settled(ctx); err != nil {
		return err
	}
	if found.buyerNode, err = l.ask[buyer].accounts(ctx); err != nil {
		return err
	}
	found.sellerNode, err = l.ask[seller].accounts(ctx)
	return err
}

// atRest buries the dead, and returns an error while a connection is open.
func (l *lane) atRest(ctx context.Context) error {
	if !l.tap.idle() {
		return fmt.Errorf("%w: the seller's paygate keeps a connection", errNotAtRest)
	}
	for r, g := range l.gates {
		if err := l.bury(r); err != nil {
			return process.Final(err)
		}
		if g.dead() {
			continue
		}
		n, err := g.sessions(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s's paygate: %w", errNotAtRest, r, err)
		}
		if n > 0 {
			return fmt.Errorf("%w: %s's paygate has %d connections", errNotAtRest, r, n)
		}
	}
	return nil
}

// bury counts a paygate that has died since the last time.
func (l *lane) bury(r role) error {
	g := l.gates[r]
	if g.proc == nil || !g.dead() {
		return nil
	}
	if err := g.autopsy(); err != nil {
		return err
	}
	point := g.armed
	if g.byHand {
		point = anywhere
	}
	l.report.gateKilled(r, point)
	if r == seller {
		l.begun.loss.crashes++
	}
	l.Log("lane %2d: %s's paygate died at %s, %.1f s old", l.number, r, point, time.Since(g.since).Seconds())
	g.proc = nil
	return nil
}

// lightningOptions writes certificate and macaroon, and returns the section of a configuration that names them.
func lightningOptions(ctx context.Context, dir string, n Node, rights []string) (options, error) {
	mac, err := n.Bake(ctx, rights...)
	if err != nil {
		return nil, err
	}
	access := n.Access()
	cert, file := filepath.Join(dir, "tls.cert"), filepath.Join(dir, "macaroon.hex")
	err = errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(cert, access.TLSCert, 0o600),
		os.WriteFile(file, []byte(mac.Reveal()), 0o600))
	return options{"address": access.Address, "tls_cert": cert, "macaroon": file, "network": access.Network}, err
}
