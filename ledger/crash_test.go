package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/units"
)

const crashVariable = "LEDGER_TEST_WRITE_UNTIL_KILLED"

// writeUntilKilled is the child process of TestKilledWriterKeepsCommits: it prints the number of each round after
// the round's writes have returned.
func writeUntilKilled(path string) {
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	w := newWall()
	l, err := Open(ctx, path, w.options())
	fail(err)
	caps := Caps{Torrent: units.MaxMsat, Day: units.MaxMsat, Total: units.MaxMsat}
	for n := 1; ; n++ {
		fail(l.AddInvoice(ctx, invoice(w, n, 1, 1, 2000)))
		_, _, err := l.Settle(ctx, settlement(n, 2000, uint64(n)))
		fail(err)
		_, _, err = l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1000})
		fail(err)
		fail(l.Reserve(ctx, intent(w, n, 2, 2, 3000, 10), caps))
		fail(l.Sent(ctx, payment(n)))
		_, err = l.Succeed(ctx, payment(n), 7, units.Preimage{})
		fail(err)
		fail(l.Receive(ctx, Receipt{Seller: peer(2), InfoHash: torrent(2), Price: oneSatPerKiB, Bytes: 500, Free: 100}))
		_, err = l.Compact(ctx, -48*time.Hour) // all of it
		fail(err)
		fmt.Println(n)
	}
}

func TestKilledWriterKeepsCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	rounds := killAfter(t, path, 12)
	w := newWall()
	l := reopen(t, path, w)
	defer func() { check(t, l.Close()) }()
	ctx := context.Background()
	check(t, l.Verify(ctx))

	// What the child said was done is done; at most one more round was under way.
	a, err := l.Account(ctx, peer(1))
	check(t, err)
	between(t, "paid to us", a.Paid, 2000*rounds, 2000*(rounds+1))
	between(t, "charged", a.Charged, oneSatPerKiB.Charge(units.Bytes(1000*rounds)), oneSatPerKiB.Charge(units.Bytes(1000*(rounds+1))))
	p, err := l.Purse(ctx, peer(2))
	check(t, err)
	between(t, "paid by us", p.Paid, 3000*rounds, 3000*(rounds+1))
	between(t, "received", units.Msat(p.Received), 500*rounds, 500*(rounds+1))
	index, err := l.SettleIndex(ctx)
	check(t, err)
	equal(t, "cursor matches what was credited", units.Msat(index)*2000, a.Paid)

	// And the file takes writes as if nothing had happened.
	pay(t, l, w, 1_000_000, 1, 1, 5000)
	check(t, l.Verify(ctx))
}

// killAfter runs the child until it has said that so many rounds are done, kills it in mid-write, and returns the
// last round that it announced.
func killAfter(t *testing.T, path string, rounds int) units.Msat {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashVariable+"="+path)
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	last, killed := 0, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n := 0; killed {
			if _, err := fmt.Sscan(lines.Text(), &n); err == nil {
				last = n
			}
			continue
		}
		_, err := fmt.Sscan(lines.Text(), &last)
		check(t, err)
		if last == rounds {
			check(t, child.Process.Kill())
			killed = true
		}
	}
	_ = child.Wait()
	if !killed {
		t.Fatalf("the child ended by itself after %d rounds: %s", last, stderr.String())
	}
	return units.Msat(last)
}

func between(t *testing.T, what string, got, low, high units.Msat) {
	t.Helper()
	if got < low || got > high {
		t.Fatalf("%s: %d is not between %d and %d", what, got, low, high)
	}
}

func TestReopenWithoutCloseSeesEverything(t *testing.T) {
	w := newWall()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := reopen(t, path, w)
	defer func() { check(t, l.Close()) }()
	pay(t, l, w, 1, 1, 1, 5000)
	check(t, l.Reserve(context.Background(), intent(w, 2, 2, 1, 1000, 50), wide))

	other := reopen(t, path, w)
	defer func() { check(t, other.Close()) }()
	check(t, other.Verify(context.Background()))
	a, err := other.Account(context.Background(), peer(1))
	check(t, err)
	equal(t, "balance", a.Balance, 5000)
	open, err := other.OpenPurchases(context.Background())
	check(t, err)
	equal(t, "open purchases", len(open), 1)
}
