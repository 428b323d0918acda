package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/ledger"
	"paygate/units"
)

// tick is a clock that moves a minute each time it is read.
type tick struct{ t time.Time }

func (c *tick) now() time.Time {
	c.t = c.t.Add(time.Minute)
	return c.t
}

var longAgo = time.Date(2024, 5, 6, 7, 0, 0, 0, time.UTC)

func nth[T ~[20]byte | ~[32]byte | ~[33]byte](n byte) (x T) {
	b := make([]byte, 33)
	for i := range b {
		b[i] = n + byte(i)
	}
	switch p := any(&x).(type) {
	case *units.InfoHash:
		copy(p[:], b)
	case *units.PaymentHash:
		copy(p[:], b)
	case *units.PeerKey:
		copy(p[:], b)
	case *units.NodeKey:
		copy(p[:], b)
	}
	return x
}

func testIntent(n byte) ledger.Intent {
	price := units.Price{Msat: 25 * units.Sat, Per: units.GiB}
	return ledger.Intent{
		Hash: nth[units.PaymentHash](n), Seller: nth[units.PeerKey](0xa0 + n), Node: nth[units.NodeKey](2), InfoHash: nth[units.InfoHash](0x50),
		Price: price, Buys: price.Buys(10 * units.Sat), Msat: 10 * units.Sat, FeeLimit: units.Sat, For: "bytes", Request: "lnbcrt",
		Expires: longAgo.Add(time.Hour),
	}
}

// testLedger fills data/ledger.sqlite of a configuration's directory with one purchase in each state, and more.
func testLedger(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "data", ledgerFile)
	clock := &tick{longAgo}
	l, err := ledger.Open(t.Context(), path, ledger.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, caps := t.Context(), ledger.Caps{Torrent: units.BTC, Day: units.BTC, Total: units.BTC}
	for n := byte(1); n <= 6; n++ {
		check(l.Reserve(ctx, testIntent(n), caps))
	}
	hash := nth[units.PaymentHash]
	_, err = l.Succeed(ctx, hash(2), 12, units.Preimage{9})
	check(err)
	check(l.Fail(ctx, hash(3), "no-route"))
	check(l.Sent(ctx, hash(4)))
	check(l.Unknown(ctx, hash(5), "send payment: rpc error: code = Unavailable desc = error reading from server: EOF\x1b[2J"))
	check(l.Unknown(ctx, hash(6), "lost"))
	clock.t = longAgo.Add(2 * time.Hour)
	check(l.WriteOffPayment(ctx, hash(6), "by the owner"))
	check(l.Receive(ctx, ledger.Receipt{Seller: nth[units.PeerKey](0xa2), InfoHash: nth[units.InfoHash](0x50), Price: testIntent(2).Price, Bytes: units.MiB, Free: 16}))
	check(l.WriteOff(ctx, nth[units.PeerKey](0xa2), nth[units.InfoHash](0x50), 5, `it said "gone", and left`))
	check(l.Close())
	return path
}

func purchasesOf(t *testing.T, path string) []ledger.Purchase {
	t.Helper()
	l, err := ledger.Open(t.Context(), path, ledger.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	list, err := l.Purchases(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPaymentsTable(t *testing.T) {
	list := purchasesOf(t, testLedger(t, t.TempDir()))
	var b bytes.Buffer
	printPayments(&b, list)
	golden(t, "payments.txt", b.String())
	b.Reset()
	printPayments(&b, nil)
	if b.String() != "no payments\n" {
		t.Errorf("%q", b.String())
	}
}

func TestPaymentsAreJSONWhenPiped(t *testing.T) {
	dir := configDir(t)
	testLedger(t, dir)
	golden(t, "payments.json", runOK(t, dir, "payments"))
	golden(t, "payments-unknown.json", runOK(t, dir, "payments", "--unknown", "--data-dir", "data"))
	for _, c := range []struct {
		args []string
		want string // the states
	}{
		{[]string{"--limit", "2"}, "written off, unknown"},
		{[]string{"--unknown", "--json"}, "unknown, sent, intent"},
		{[]string{"--unknown", "-n", "1"}, "unknown"},
		{[]string{"--unknown", "-n", "9"}, "unknown, sent, intent"},
	} {
		var states []string
		for line := range strings.Lines(runOK(t, dir, append([]string{"payments"}, c.args...)...)) {
			var v paymentView
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			states = append(states, v.State)
		}
		if got := strings.Join(states, ", "); got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}

func runOK(t *testing.T, dir string, args ...string) string {
	t.Helper()
	got := runIn(t, dir, args...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%q: %+v", args, got)
	}
	return got.stdout
}

func TestPaymentsWithoutALedger(t *testing.T) {
	for _, args := range [][]string{
		{"payments"},
		{"payments", "--unknown"},
		{"payments", "write-off", "0102030405060708"},
		{"ledger", "verify"},
		{"ledger", "backup", "x"},
		{"ledger", "export", "csv"},
	} {
		dir := configDir(t)
		got := runIn(t, dir, args...)
		if got.code != exitFailure || got.stdout != "" || !strings.Contains(got.stderr, "`paygate run` makes the ledger when it first starts") {
			t.Errorf("%q: %+v", args, got)
		}
		if files, err := filepath.Glob(filepath.Join(dir, "data", "*")); err != nil || len(files) > 0 {
			t.Errorf("%q left %q, %v", args, files, err)
		}
	}
}
