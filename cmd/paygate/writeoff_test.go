package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/ledger"
	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// scripted is a node that says what a test wants.
type scripted struct {
	sight         lnclient.Sighting
	holds         lnclient.Holding
	lookErr, held error
}

func (s scripted) Look(context.Context, units.PaymentHash) (lnclient.Sighting, error) {
	return s.sight, s.lookErr
}

func (s scripted) PendingHTLC(context.Context, units.PaymentHash) (lnclient.Holding, error) {
	return s.holds, s.held
}

func saw(state lnclient.PayState, reason string, channels ...uint64) lnclient.Sighting {
	return lnclient.Sighting{Outcome: lnclient.Outcome{State: state, Reason: reason}, Channels: channels}
}

const testChannel = 600<<40 | 7<<16 | 1

func openChannels(list ...lnclient.HTLC) lnclient.Holding {
	return lnclient.Holding{HTLCs: list, Count: 2, Names: map[uint64]struct{}{testChannel: {}, 5: {}}}
}

// TestWriteOffChecks is the truth table of what lets a payment be written off.
func TestWriteOffChecks(t *testing.T) {
	var all bytes.Buffer // what was shown
	down := &lnclient.Problem{Kind: lnclient.Unreachable, Remedy: "check that lnd runs", Err: errors.New("no answer")}
	for _, c := range []struct {
		name    string
		payment byte // of testLedger: 1 intent, 2 succeeded, 3 failed, 4 sent, 5 unknown, 6 written off
		after   time.Duration
		node    scripted
		closed  bool
		yes, ok bool
	}{
		{"in flight, nothing held", 5, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, ""), holds: openChannels()}, false, true, true},
		{"not confirmed", 5, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, ""), holds: openChannels()}, false, false, false},
		{"intent, no record", 1, 4 * time.Hour, scripted{sight: saw(lnclient.NeverSent, ""), holds: openChannels()}, false, true, true},
		{"sent, failed", 4, 4 * time.Hour, scripted{sight: saw(lnclient.Failed, "no-route"), holds: openChannels()}, false, true, true},
		{"made after all", 5, 4 * time.Hour, scripted{sight: saw(lnclient.Succeeded, ""), holds: openChannels()}, false, true, false},
		{"succeeded", 2, 4 * time.Hour, scripted{sight: saw(lnclient.Succeeded, ""), holds: openChannels()}, false, true, false},
		{"failed", 3, 4 * time.Hour, scripted{sight: saw(lnclient.Failed, "no-route"), holds: openChannels()}, false, true, false},
		{"written off", 6, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, ""), holds: openChannels()}, false, true, false},
		{"invoice is good", 5, 59 * time.Minute, scripted{sight: saw(lnclient.InFlight, ""), holds: openChannels()}, false, true, false},
		{"invoice has just expired", 5, time.Hour + 2*time.Minute, scripted{sight: saw(lnclient.InFlight, ""), holds: openChannels()}, false, true, false},
		{"node is down", 5, 4 * time.Hour, scripted{lookErr: down, held: down}, false, true, false},
		{"node tells half", 5, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, ""), held: down}, false, true, false},
		{"node tells the other half", 5, 4 * time.Hour, scripted{lookErr: down, holds: openChannels()}, false, true, false},
		{"channel holds it", 5, 4 * time.Hour, scripted{
			sight: saw(lnclient.InFlight, "", testChannel),
			holds: openChannels(lnclient.HTLC{Channel: testChannel, Msat: 10 * units.Sat, Expiry: 800}),
		}, true, true, false},
		{"channel holds it for others", 5, 4 * time.Hour, scripted{
			sight: saw(lnclient.NeverSent, ""), holds: openChannels(lnclient.HTLC{Channel: 5, Incoming: true, Msat: 10 * units.Sat, Expiry: 800}),
		}, false, true, false},
		{"channel let go of it", 5, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, "", testChannel), holds: openChannels()}, false, true, true},
		{"channel is not open", 5, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, "", 601<<40), holds: openChannels()}, false, true, false},
		{"channel is not open, and settled", 5, 4 * time.Hour, scripted{sight: saw(lnclient.InFlight, "", 601<<40), holds: openChannels()}, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := testLedger(t, t.TempDir())
			now := longAgo.Add(c.after)
			l, err := ledger.Open(t.Context(), path, ledger.Options{Now: func() time.Time { return now }, Existing: true})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p, err := findPayment(t.Context(), l, nth[units.PaymentHash](c.payment).String())
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			x := examination{now: now, patience: time.Minute, channelClosed: c.closed}
			err = x.conclude(t.Context(), &b, l, c.node, p, c.yes)
			if (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
			fmt.Fprintf(&all, "== %s\n%serror: %v\n\n", c.name, b.String(), err)
			after, err := findPayment(t.Context(), l, p.Hash.String())
			want := p.State
			if c.ok {
				want = ledger.StateWrittenOff
			}
			if err != nil || after.State != want {
				t.Errorf("it is %s, want %s, %v", after.State, want, err)
			}
			if err := l.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	golden(t, "write-off.txt", all.String())
}

func TestFindPayment(t *testing.T) {
	path := testLedger(t, t.TempDir())
	l, err := ledger.Open(t.Context(), path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	twin := testIntent(7)
	twin.Hash = nth[units.PaymentHash](5)
	twin.Hash[31]++
	if err := l.Reserve(t.Context(), twin, ledger.Caps{Torrent: units.BTC, Day: units.BTC, Total: units.BTC}); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]string{
		"0102030405060708":                 "",
		"01020304":                         "",
		nth[units.PaymentHash](5).String(): "",
		"":                                 "too short",
		"0102030":                          "too short",
		"05060708090a":                     "2 payments",
		"0405060708090A0B":                 "",
		"ffffffff":                         "no payment",
		"not hexadecimal":                  "no payment",
	} {
		_, err := findPayment(t.Context(), l, prefix)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", prefix, err, want)
		}
	}
}

// TestWriteOffBesideRun writes a stuck payment off while another process has the ledger open and the directory locked.
func TestWriteOffBesideRun(t *testing.T) {
	dir := t.TempDir()
	net, seller, buyer := stuckNetwork(t)
	writeFile(t, filepath.Join(dir, "tls.cert"), string(buyer.TLSCert()))
	mac, err := buyer.Bake(lnclient.BuyPermissions()...)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "paygate.macaroon"), mac.Reveal())
	writeFile(t, filepath.Join(dir, "paygate.yaml"), fmt.Sprintf(`data_dir: data
listen: {socks5: 127.0.0.1:1080}
lightning: {address: %q, tls_cert: tls.cert, macaroon: paygate.macaroon, network: regtest}
buy: {per_torrent: 500 sat, per_day: 1000 sat, total: 1000 sat, rules: [{torrents: any, max_price: 40 sat per GiB}]}
`, buyer.Address()))
	lock, err := openDataDir(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	l, err := ledger.Open(t.Context(), lock.file(ledgerFile), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hash := stick(t, net, seller, buyer)
	intent := testIntent(1)
	intent.Hash = hash
	caps := ledger.Caps{Torrent: units.BTC, Day: units.BTC, Total: units.BTC}
	if err := errors.Join(l.Reserve(t.Context(), intent, caps), l.Unknown(t.Context(), hash, "lost")); err != nil {
		t.Fatal(err)
	}

	args := []string{"payments", "write-off", hash.String()[:16], "--yes"}
	got := runIn(t, dir, args...)
	if got.code != exitFailure || !strings.Contains(got.stdout, "  NO  channel 450x1x0 holds 10 sat for it until block ") ||
		!strings.Contains(got.stderr, "cannot be written off") {
		t.Fatalf("while the channel holds it: %+v", got)
	}
	if open, err := l.OpenPurchases(t.Context()); err != nil || len(open) != 1 {
		t.Fatalf("%v, %v", open, err)
	}
	if net.Unstick(false) != 1 {
		t.Fatal("nothing was stuck")
	}
	client := connect(t, buyer)
	if out, err := client.Track(t.Context(), hash); err != nil || out.State != lnclient.Failed {
		t.Fatalf("%+v, %v", out, err)
	}
	if got := runIn(t, dir, args[:3]...); got.code != exitFailure || !strings.Contains(got.stderr, "repeat with --yes") {
		t.Fatalf("without --yes: %+v", got)
	}
	if got := runIn(t, dir, args...); got.code != 0 || !strings.Contains(got.stdout, "Written off. 11 sat are free to be spent again.\n") {
		t.Fatalf("%+v", got)
	}
	left, err := l.Left(t.Context(), ledger.Payee{InfoHash: intent.InfoHash}, caps)
	if err != nil || left != units.BTC {
		t.Errorf("%v are left, %v", left, err)
	}
}

func stuckNetwork(t *testing.T) (net *sandbox.Network, seller, buyer *sandbox.Node) {
	t.Helper()
	net, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close() })
	var nodes [2]*sandbox.Node
	for i, alias := range []string{"seller", "buyer"} {
		if nodes[i], err = net.AddNode(alias, "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := net.OpenChannel(nodes[1], nodes[0], 100_000*units.Sat, 50_000*units.Sat); err != nil {
		t.Fatal(err)
	}
	return net, nodes[0], nodes[1]
}

// stick has the buyer send a payment that stays in flight.
func stick(t *testing.T, net *sandbox.Network, seller, buyer *sandbox.Node) units.PaymentHash {
	t.Helper()
	inv, err := connect(t, seller).AddInvoice(t.Context(), lnclient.NewInvoice{Msat: 10 * units.Sat, Expiry: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	net.SetFault(sandbox.Fault{Kind: sandbox.StuckInFlight, Node: "buyer", Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := connect(t, buyer).Pay(ctx, lnclient.Payment{Request: inv.Request, Hash: inv.Hash}); err == nil {
		t.Fatal("the payment did not stick")
	}
	return inv.Hash
}

func connect(t *testing.T, n *sandbox.Node) *lnclient.Client {
	t.Helper()
	c, err := lnclient.New(lnclient.Config{Address: n.Address(), TLSCert: n.TLSCert(), Macaroon: n.Macaroon(), Network: "regtest"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
