package ledger

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestBlocksHoldUntilTheyAreLifted(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	step := func(do func() (bool, error), want bool) {
		t.Helper()
		w.t = w.t.Add(time.Minute)
		got, err := do()
		check(t, err)
		equal(t, "changed", got, want)
		check(t, l.Verify(ctx))
	}
	step(func() (bool, error) { return l.AddBlock(ctx, torrent(1), "court order 7") }, true)
	since := w.t
	step(func() (bool, error) { return l.AddBlock(ctx, torrent(1), "another word for it") }, false)
	step(func() (bool, error) { return l.AddBlock(ctx, torrent(2), "") }, true)
	step(func() (bool, error) { return l.RemoveBlock(ctx, torrent(3), "") }, false)
	list, err := l.Blocks(ctx)
	check(t, err)
	equal(t, "blocks", len(list), 2)
	equal(t, "the first", list[0], Block{torrent(1), "court order 7", time.UnixMilli(since.UnixMilli())})
	step(func() (bool, error) { return l.RemoveBlock(ctx, torrent(1), "appeal won") }, true)
	step(func() (bool, error) { return l.AddBlock(ctx, torrent(1), "again") }, true)
	step(func() (bool, error) { return l.RemoveBlock(ctx, torrent(2), "") }, true)
	entries, err := l.Journal(ctx, 0, 100)
	check(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Kind+" "+e.Note)
	}
	equal(t, "journal", strings.Join(got, "; "), "block court order 7; block ; unblock appeal won; block again; unblock ")
}

func TestBlockRefusesAnEndlessReason(t *testing.T) {
	l, _ := fresh(t)
	for _, reason := range []string{strings.Repeat("x", maxReason+1), "\xff"} {
		if _, err := l.AddBlock(context.Background(), torrent(1), reason); err == nil {
			t.Errorf("%q was taken", reason)
		}
	}
}
