package policy

import (
	"testing"

	"pgregory.net/rapid"

	"paygate/client"
	"paygate/config"
	"paygate/units"
)

func torrent(n byte) units.InfoHash { return units.InfoHash{n} }

var perGiB = units.Price{Msat: 25 * units.Sat, Per: units.GiB}

func TestRules(t *testing.T) {
	free := config.SellRule{Name: "free", InfoHash: []units.InfoHash{torrent(1)}}
	films := config.SellRule{Name: "films", InfoHash: []units.InfoHash{torrent(1), torrent(2)}, Price: perGiB, Rights: "own"}
	rest := config.SellRule{Name: "rest", Any: true, Price: perGiB, Rights: "own"}
	freeRest := config.SellRule{Name: "free rest", Any: true}
	nothing := config.SellRule{Name: "nothing", Price: perGiB, Rights: "own"}
	cases := []struct {
		name      string
		rules     []config.SellRule
		torrent   byte
		rule      string
		sells     bool
		mayCharge bool
	}{
		{"no rules", nil, 1, "", false, false},
		{"a rule for it", []config.SellRule{films}, 2, "films", true, true},
		{"a rule for others", []config.SellRule{films}, 3, "", false, true},
		{"first match wins", []config.SellRule{free, films}, 1, "free", false, true},
		{"the order matters", []config.SellRule{films, free}, 1, "films", true, true},
		{"any", []config.SellRule{films, rest}, 9, "rest", true, true},
		{"exempt from any", []config.SellRule{free, rest}, 1, "free", false, true},
		{"hidden behind any", []config.SellRule{freeRest, films}, 2, "free rest", false, false},
		{"a rule without torrents", []config.SellRule{nothing}, 1, "", false, false},
		{"only free", []config.SellRule{free, freeRest}, 2, "free rest", false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := NewSelling(config.Sell{Rules: c.rules})
			f := Facts{InfoHashes: []units.InfoHash{torrent(c.torrent)}, Torrent: &client.Torrent{PrivateKnown: true}}
			d := s.Decide(f)
			if d.Rule == nil != (c.rule == "") || d.Rule != nil && (d.Rule.Name != c.rule || d.Rule != &s.sell.Rules[d.Index]) {
				t.Errorf("Decide: %+v; want %q", d, c.rule)
			}
			if d.Free == c.sells || d.Free != d.Price.Free() || s.Concerns(f) != c.sells {
				t.Errorf("Decide: %+v, Concerns %v", d, s.Concerns(f))
			}
			if got := s.MayCharge(); got != c.mayCharge {
				t.Errorf("MayCharge: %v", got)
			}
		})
	}
}

func TestSampleLeft(t *testing.T) {
	s := NewSelling(config.Sell{SampleTorrentDay: 200, SampleDay: 1000})
	for _, c := range []struct {
		name   string
		sample units.Bytes
		used   Used
		want   units.Bytes
	}{
		{"no sample", 0, Used{}, 0},
		{"untouched", 100, Used{}, 100},
		{"the rule's sample is the limit", 100, Used{Subnet: 70, TorrentDay: 100, Day: 100}, 30},
		{"the torrent's day is the limit", 100, Used{TorrentDay: 190, Day: 190}, 10},
		{"the day is the limit", 100, Used{Day: 995}, 5},
		{"all of it used", 100, Used{Subnet: 100, TorrentDay: 100, Day: 100}, 0},
		{"overdrawn", 100, Used{Subnet: 110, TorrentDay: 300, Day: 2000}, 0},
		{"larger than a day", 500, Used{}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.SampleLeft(config.SellRule{Sample: c.sample}, c.used); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestLargest(t *testing.T) {
	for _, c := range []struct {
		name string
		rule config.SellRule
		want units.Msat
	}{
		{"no interval", config.SellRule{Min: 10_000, Max: 50_000}, 50_000},
		{"an interval", config.SellRule{Min: 10_000, Max: 50_000, Interval: units.GiB}, 25_000},
		{"rounded up", config.SellRule{Min: 1000, Max: 50_000, Interval: units.GiB/2 + 1}, 12_501},
		{"above max", config.SellRule{Min: 10_000, Max: 50_000, Interval: 3 * units.GiB}, 50_000},
		{"below min", config.SellRule{Min: 10_000, Max: 50_000, Interval: units.MiB}, 10_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Largest(&c.rule, perGiB); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestTiers(t *testing.T) {
	cheap, cheapest := units.Price{Msat: 20_000, Per: units.GiB}, units.Price{Msat: 10_000, Per: units.GiB}
	s := NewSelling(config.Sell{Rules: []config.SellRule{{
		InfoHash: []units.InfoHash{torrent(1)}, Price: perGiB, Rights: "own",
		Tiers: []config.Tier{{After: 10 * units.GiB, Price: cheap}, {After: 100 * units.GiB, Price: cheapest}},
	}}})
	for volume, want := range map[units.Bytes]units.Price{
		0: perGiB, 10*units.GiB - 1: perGiB, 10 * units.GiB: cheap, 100*units.GiB - 1: cheap, 100 * units.GiB: cheapest, units.TiB: cheapest,
	} {
		if d := s.Decide(Facts{InfoHashes: []units.InfoHash{torrent(1)}, Volume: volume}); d.Price != want {
			t.Errorf("after %v: %v, want %v", volume, d.Price, want)
		}
	}
}

// TestSamplesAddUp gives samples to many subnets as fast as they are allowed and checks what that adds up to.
func TestSamplesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sell := config.Sell{
			SampleTorrentDay: units.Bytes(rapid.Int64Range(0, 500).Draw(t, "torrent day")),
			SampleDay:        units.Bytes(rapid.Int64Range(0, 900).Draw(t, "day")),
		}
		rule := config.SellRule{Sample: units.Bytes(rapid.Int64Range(0, 200).Draw(t, "sample"))}
		s := NewSelling(sell)
		subnets := map[[2]int]units.Bytes{}
		torrents := map[int]units.Bytes{}
		var day units.Bytes
		for range 40 {
			ih, net := rapid.IntRange(0, 2).Draw(t, "torrent"), rapid.IntRange(0, 3).Draw(t, "subnet")
			key := [2]int{ih, net}
			n := s.SampleLeft(rule, Used{Subnet: subnets[key], TorrentDay: torrents[ih], Day: day})
			subnets[key] += n
			torrents[ih] += n
			day += n
			if n < 0 || subnets[key] > rule.Sample || torrents[ih] > sell.SampleTorrentDay || day > sell.SampleDay {
				t.Fatalf("gave %d: subnet %d, torrent %d, day %d", n, subnets[key], torrents[ih], day)
			}
		}
	})
}

func TestLease(t *testing.T) {
	for _, c := range []struct {
		name               string
		balance, last, max units.Msat
		want               units.Msat
	}{
		{"nothing there", 0, 100, 1000, 0},
		{"in debt", -5, 100, 1000, 0},
		{"less than a purchase", 60, 100, 1000, 60},
		{"one purchase of many", 500, 100, 1000, 100},
		{"a purchase from when the limit was higher", 5000, 3000, 1000, 1000},
		{"no purchase known", 5000, 0, 1000, 1000},
		{"nothing is sold any more", 5000, 100, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Lease(c.balance, c.last, c.max); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
