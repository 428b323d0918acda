package pay

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDivideByBids(t *testing.T) {
	const lots = 1 << 40
	auction := shares{auction: true, floorShare: 10}
	for name, c := range map[string]struct {
		s      shares
		claims []claim
		want   []int64
	}{
		"1:2:4":                {auction, []claim{{100, true, false, lots}, {200, false, false, lots}, {400, false, false, lots}}, []int64{1429, 2857, 5714}},
		"floor share":          {auction, []claim{{1, true, false, lots}, {50, false, false, lots}, {50, false, false, lots}}, []int64{1000, 4500, 4500}},
		"no auction":           {shares{}, []claim{{100, true, false, lots}, {400, false, false, lots}}, []int64{5000, 5000}},
		"one cannot take more": {auction, []claim{{100, true, false, lots}, {400, false, false, 500}}, []int64{9500, 500}},
		"free share":           {shares{freeShare: 20}, []claim{{100, true, false, lots}, {0, false, true, lots}, {0, false, true, lots}}, []int64{8000, 1000, 1000}},
		"nobody pays":          {shares{freeShare: 20}, []claim{{0, false, true, lots}, {0, false, true, lots}}, []int64{5000, 5000}},
		"nobody is free":       {shares{freeShare: 20}, []claim{{100, true, false, lots}}, []int64{10000}},
		"free ones are full":   {shares{freeShare: 50}, []claim{{100, true, false, lots}, {0, false, true, 100}}, []int64{9900, 100}},
		"all are full":         {auction, []claim{{100, true, false, 10}, {200, false, false, 20}}, []int64{10, 20}},
		"nobody":               {auction, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for i, got := range divide(10000, c.s, c.claims) {
				if math.Abs(float64(got-c.want[i])) > 2 {
					t.Errorf("number %d gets %d, want %d", i, got, c.want[i])
				}
			}
		})
	}
}

// TestDivideWastesAndInventsNothing holds any division against what must be true of all.
func TestDivideWastesAndInventsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shares{
			auction: rapid.Bool().Draw(t, "auction"), freeShare: rapid.IntRange(0, 90).Draw(t, "free share"),
			floorShare: rapid.IntRange(0, 90).Draw(t, "floor share"),
		}
		claims := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) claim {
			c := claim{room: rapid.Int64Range(-10, 1_000_000).Draw(t, "room"), free: rapid.Bool().Draw(t, "free")}
			if !c.free {
				c.floor = rapid.Bool().Draw(t, "floor")
				c.weight = 100
				if !c.floor {
					c.weight = float64(rapid.IntRange(101, 100_000).Draw(t, "bid"))
				}
			}
			return c
		}), 0, 60).Draw(t, "claims")
		total := rapid.Int64Range(0, 10_000_000).Draw(t, "total")
		var sum, room int64
		got := divide(total, s, claims)
		for i, n := range got {
			if n < 0 || n > max(0, claims[i].room) {
				t.Fatalf("%d bytes for %+v", n, claims[i])
			}
			sum += n
			room += max(0, claims[i].room)
		}
		if want := min(total, room); sum > want || sum < want-int64(len(claims)) {
			t.Fatalf("%d of %d bytes were given, room for %d", sum, total, room)
		}
		for i, a := range claims { // who bids more gets no less, unless it is full
			for j, b := range claims {
				if s.auction && !a.free && !b.free && !a.floor && !b.floor && a.weight > b.weight && got[i]+int64(len(claims)) < got[j] && got[i] < a.room {
					t.Fatalf("a bid of %v gets %d, one of %v %d", a.weight, got[i], b.weight, got[j])
				}
			}
		}
	})
}

// TestFiftyPeersShareByBids runs a lane for a minute with peers that come, go, and take what they can.
func TestFiftyPeersShareByBids(t *testing.T) {
	const upload = 10 << 20
	s := shares{upload: upload, auction: true, floorShare: 10, freeShare: 10}
	claims := make([]claim, 50)
	got := make([]int64, len(claims))
	var bids, floors float64
	for i := range claims {
		c := claim{weight: float64(100 * (1 + i%7)), floor: i%7 == 0, free: i%10 == 9}
		if c.free {
			c.weight, c.floor = 0, false
		}
		claims[i] = c
	}
	slow := 17 // takes 1 KiB a round and no more
	for round := range 600 {
		for i := range claims {
			claims[i].room = 1 << 20
		}
		claims[slow].room = 1 << 10
		claims[33].room *= int64(round / 300) // comes after half of the time
		for i, n := range divide(upload/10, s, claims) {
			got[i] += n
		}
	}
	var total, free, floor int64
	for i, c := range claims {
		total += got[i]
		switch {
		case c.free:
			free += got[i]
		case c.floor:
			floor += got[i]
			floors++
		default:
			bids += c.weight
		}
	}
	if want := int64(60 * upload); total < want-60_000 || total > want {
		t.Errorf("%d of %d bytes were given", total, want)
	}
	if share := float64(free) / float64(total); math.Abs(share-0.1) > 0.005 {
		t.Errorf("those who do not pay got %.3f", share)
	}
	if share := float64(floor) / float64(total-free); share < 0.099 {
		t.Errorf("those who pay the floor got %.3f", share)
	}
	unit := float64(got[1]) / claims[1].weight
	for i, c := range claims {
		if c.free || c.floor || i == slow || i == 33 {
			continue
		}
		if f := float64(got[i]) / c.weight / unit; f < 0.99 || f > 1.01 {
			t.Errorf("peer %d got %.2f of what its bid is worth", i, f)
		}
	}
	if got[slow] != 600<<10 {
		t.Errorf("the slow one got %d", got[slow])
	}
}
