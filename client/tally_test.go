package client

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/units"
)

// TestTallyOfAnHonestClient never warns: whatever is uploaded goes through, later or sooner, with overhead, across
// restarts of the client.
func TestTallyOfAnHonestClient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tally Tally
		now := time.Unix(1_700_000_000, 0)
		peers := rapid.IntRange(0, 50).Draw(t, "peers")
		var uploaded, held, through units.Bytes
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "s")) * time.Second)
			if rapid.IntRange(0, 19).Draw(t, "restart") == 0 {
				uploaded, held = 0, 0 // what the kernel held is lost
			}
			n := units.Bytes(rapid.Int64Range(0, int64(units.GiB)).Draw(t, "n"))
			uploaded += n
			room := tallySlack + units.Bytes(peers)*tallyPerPeer
			kept := min(units.Bytes(rapid.Int64Range(0, int64(room)).Draw(t, "kept")), held+n)
			through += held + n - kept + (held+n-kept)/1000 // and overhead
			held = kept
			if _, parted, news := tally.Look(now, uploaded, through, peers); parted || news {
				t.Fatal("an honest client is suspected")
			}
		}
	})
}

// TestTallyOfALeak warns once, after some minutes, and again after a new start.
func TestTallyOfALeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tally Tally
		now := time.Unix(1_700_000_000, 0)
		share := units.Bytes(rapid.IntRange(5, 100).Draw(t, "percent past paygate"))
		var uploaded, through, past units.Bytes
		warned := 0
		for i := range 40 {
			if _, _, news := tally.Look(now, uploaded, through, 3); news {
				warned++
				if i < 4 {
					t.Fatalf("warned at look %d already", i)
				}
			}
			n := 4 * units.GiB
			uploaded += n
			past += n * share / 100
			through = uploaded - past
			now = now.Add(time.Minute)
		}
		ahead, parted, _ := tally.Look(now, uploaded, through, 3)
		if warned != 1 || !parted || ahead != past {
			t.Fatalf("warned %d times, ahead by %s, parted %v", warned, ahead, parted)
		}
		if ahead, parted, _ := tally.Look(now, 0, through, 3); ahead != 0 || parted {
			t.Fatal("a client that has started anew is still suspected")
		}
	})
}

func TestTallyWaits(t *testing.T) {
	var tally Tally
	now := time.Unix(1_700_000_000, 0)
	const much = units.GiB
	for _, c := range []struct {
		after             time.Duration
		uploaded, through units.Bytes
		parted, news      bool
	}{
		{0, 0, 0, false, false},
		{time.Minute, tallySlack, 0, false, false},
		{time.Minute, much, 0, false, false},
		{2 * time.Minute, much, 0, false, false},
		{time.Minute, much, 0, true, true},
		{time.Minute, much, 0, true, false},
		{time.Minute, much, much, false, false}, // it came through after all
		{time.Minute, 3 * much, much, false, false},
		{5 * time.Minute, 3 * much, much, true, false},
	} {
		now = now.Add(c.after)
		if _, parted, news := tally.Look(now, c.uploaded, c.through, 0); parted != c.parted || news != c.news {
			t.Errorf("%s uploaded, %s through: %v, %v", c.uploaded, c.through, parted, news)
		}
	}
}
