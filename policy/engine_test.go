package policy

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/client"
	"paygate/config"
	"paygate/units"
)

var (
	someHosts     = []string{"a.example", "b.a.example", "c.b.a.example", "other.example", "example"}
	somePatterns  = append([]string{"*.a.example", "*.example", "*.b.a.example"}, someHosts...)
	someNames     = []string{"films", "music", "for sale"}
	someClients   = []string{"-", "-q", "-qB", "-qB4520-", "-TR"}
	somePeerIDs   = []string{"", "-qB4520-abcdefghijkl", "-TR4000-abcdefghijkl", "M7-9-2--abcdefghijkl", "-"}
	someNetworks  = prefixes("0.0.0.0/0", "::/0", "192.0.2.0/24", "192.0.2.128/25", "192.0.2.7/32", "128.0.0.0/1", "2001:db8::/32", "2001:db8::7/128", "8000::/1")
	someAddresses = addrs("192.0.2.7", "192.0.2.200", "192.0.3.0", "255.255.255.255", "0.0.0.0", "2001:db8::7", "2001:db8:1::", "::", "ffff::1", "::ffff:192.0.2.7", "fe80::1%eth0")
	someZones     = zones("UTC", "Europe/Berlin", "Pacific/Auckland")
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return append(out, netip.Addr{})
}

func zones(names ...string) (out []*time.Location) {
	for _, n := range names {
		z, err := time.LoadLocation(n)
		if err != nil {
			panic(err)
		}
		out = append(out, z)
	}
	return out
}

// some draws a condition on a fact: mostly none.
func some[T any](t *rapid.T, name string, from []T) []T {
	if rapid.IntRange(0, 3).Draw(t, name+" asked for") > 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(t, name)
}

func someRange(t *rapid.T, name string, numbers ...int64) config.Range {
	if rapid.IntRange(0, 3).Draw(t, name+" asked for") > 0 {
		return config.Range{}
	}
	numbers = append(numbers, 0, 1<<63-1)
	a, b := rapid.SampledFrom(numbers).Draw(t, name), rapid.SampledFrom(numbers).Draw(t, name)
	return config.Range{Set: true, Least: min(a, b), Most: max(a, b)}
}

func someTimes(t *rapid.T) config.Times {
	if rapid.IntRange(0, 3).Draw(t, "time asked for") > 0 {
		return config.Times{}
	}
	minute := rapid.SampledFrom([]int{0, 1, 60, 120, 180, 360, 1200, 1439, 1440})
	times := config.Times{Zone: rapid.SampledFrom(someZones).Draw(t, "zone"), Days: uint8(rapid.IntRange(0, 127).Draw(t, "days"))}
	for range rapid.IntRange(0, 2).Draw(t, "spans") {
		if s := (config.Span{From: minute.Draw(t, "from"), To: minute.Draw(t, "to")}); s.From != s.To && s.From < dayMinutes {
			times.Hours = append(times.Hours, s)
		}
	}
	return times
}

func someMatch(t *rapid.T) config.Match {
	m := config.Match{
		Category: some(t, "category", someNames), Tag: some(t, "tag", someNames), Tracker: some(t, "tracker", somePatterns),
		Size: someRange(t, "size", 1, 1000, 1001), Age: someRange(t, "age", int64(time.Hour), int64(24*time.Hour)),
		Seeds: someRange(t, "seeds", 1, 2, 3), Ratio: someRange(t, "ratio", 1, 999, 1000, 1001),
		Peer: some(t, "peer", someNetworks), Country: some(t, "country", []string{"DE", "AT"}), ClientID: some(t, "client", someClients),
		Identity: some(t, "identity", []units.PeerKey{{1}, {2}}), Times: someTimes(t),
	}
	if p := some(t, "private", []bool{true, false}); p != nil {
		m.Private = &p[0]
	}
	return m
}

func someHashes(t *rapid.T, name string) []units.InfoHash {
	return some(t, name, []units.InfoHash{{1}, {2}, {3}})
}

func someRules(t *rapid.T) []config.SellRule {
	// Rules far from each other must not be confused: now and then there are more than one window holds.
	n := rapid.SampledFrom([]int{0, 1, 2, 5, 63, 65, 200, 1030, 2050}).Draw(t, "rules")
	rules := make([]config.SellRule, n)
	for i := range min(n, 12) {
		at := i
		if n > 12 {
			at = rapid.IntRange(0, n-1).Draw(t, "at")
		}
		rules[at] = config.SellRule{
			Any: rapid.IntRange(0, 9).Draw(t, "any") == 0, InfoHash: someHashes(t, "hash"), Match: someMatch(t),
			Rights: rapid.SampledFrom([]string{"own", "own", "own", ""}).Draw(t, "rights"), TrackerAgreed: some(t, "agreed", somePatterns),
			Deny: rapid.IntRange(0, 5).Draw(t, "deny") == 0,
		}
		if rapid.Bool().Draw(t, "whole") {
			rules[at].PerTorrent = units.Msat(rapid.IntRange(0, 5).Draw(t, "per torrent"))
		} else {
			rules[at].Price = units.Price{Msat: units.Msat(rapid.IntRange(0, 5).Draw(t, "price")), Per: units.MiB}
		}
	}
	for i := range rules {
		rules[i].Name = fmt.Sprint("rule ", i)
	}
	return rules
}

func someFacts(t *rapid.T) Facts {
	f := Facts{
		InfoHashes: rapid.SliceOfN(rapid.SampledFrom([]units.InfoHash{{1}, {2}, {3}, {4}}), 1, 2).Draw(t, "hashes"),
		Remote:     rapid.SampledFrom(someAddresses).Draw(t, "remote"),
		Country:    rapid.SampledFrom([]string{"", "DE", "AT", "CH"}).Draw(t, "of country"),
		ClientID:   rapid.SampledFrom(somePeerIDs).Draw(t, "peer id"),
		Identity:   rapid.SampledFrom([]units.PeerKey{{}, {1}, {2}, {3}}).Draw(t, "key"),
	}
	if rapid.IntRange(0, 5).Draw(t, "clock") > 0 {
		// Around the spring change of Berlin's clocks, and through a week.
		f.Now = time.Date(2024, 3, 31, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(-3000, 8000).Draw(t, "minute")) * time.Minute)
	}
	if rapid.IntRange(0, 4).Draw(t, "torrent known") > 0 {
		f.Torrent = someTorrent(t, f.Now)
	}
	return f
}

func someTorrent(t *rapid.T, now time.Time) *client.Torrent {
	c := &client.Torrent{
		Category: rapid.SampledFrom(append(someNames, "")).Draw(t, "in category"), Tags: some(t, "has tag", someNames),
		Private: rapid.Bool().Draw(t, "is private"), PrivateKnown: rapid.Bool().Draw(t, "private known"),
		ProgressKnown: rapid.Bool().Draw(t, "progress known"), Size: units.Bytes(rapid.SampledFrom([]int64{-1, 0, 1, 999, 1000, 1001}).Draw(t, "of size")),
		Ratio: rapid.SampledFrom([]float64{-1, 0, 0.001, 0.9999, 1, 1.0011, 1e300}).Draw(t, "at ratio"), Seeds: rapid.IntRange(-1, 4).Draw(t, "with seeds"),
	}
	for _, h := range some(t, "announces to", someHosts) {
		c.Trackers = append(c.Trackers, fmt.Sprintf(rapid.SampledFrom([]string{"http://%s/announce", "udp://%s:6969", "https://user@%s:443/a?b"}).Draw(t, "announce"), h))
	}
	if rapid.Bool().Draw(t, "age known") {
		c.Added = now.Add(-rapid.SampledFrom([]time.Duration{-time.Hour, 0, time.Hour, 24 * time.Hour, 25 * time.Hour}).Draw(t, "added before"))
	}
	return c
}

// TestEngineAgreesWithTheObvious holds the compiled rules against those that Explain walks through one by one, in what
// they decide and in what they say may still come.
func TestEngineAgreesWithTheObvious(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSelling(config.Sell{Rules: someRules(t)})
		for range 4 {
			f := someFacts(t)
			fast, slow := s.Decide(f), s.Explain(f)
			slow.Why = nil
			if !reflect.DeepEqual(fast, slow) {
				t.Fatalf("fast %+v\nslow %+v\nfacts %+v", fast, slow, f)
			}
			if !fast.Free && !s.Concerns(f) {
				t.Fatalf("charged or denied, and not concerned: %+v, %+v", fast, f)
			}
			later := f
			later.ClientID, later.Identity, later.Now = rapid.SampledFrom(somePeerIDs).Draw(t, "later id"), units.PeerKey{1}, f.Now.Add(time.Hour)
			if d := s.Decide(later); later.Torrent == nil && !d.Free && !s.Concerns(f) {
				t.Fatalf("charged or denied later, and not concerned: %+v, %+v", d, f)
			}
		}
	})
}

// TestNothingPrivateIsCharged draws rules and torrents, and lets no price through that nobody has agreed to.
func TestNothingPrivateIsCharged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSelling(config.Sell{Rules: someRules(t)})
		f := someFacts(t)
		d := s.Decide(f)
		if d.Free || d.Deny {
			return
		}
		listed := !d.Rule.Any && slices.ContainsFunc(f.InfoHashes, func(h units.InfoHash) bool { return slices.Contains(d.Rule.InfoHash, h) })
		switch {
		case d.Rule.Rights == "":
			t.Fatal("charged without a right")
		case f.Torrent == nil || !f.Torrent.PrivateKnown:
			if !listed {
				t.Fatalf("charged for what may be private: %+v", f)
			}
		case f.Torrent.Private && len(d.Rule.TrackerAgreed) == 0:
			t.Fatalf("charged for a private torrent: %+v", f)
		}
	})
}

func TestBuyingAgreesWithTheObvious(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []config.BuyRule
		for range rapid.IntRange(0, 8).Draw(t, "rules") {
			rules = append(rules, config.BuyRule{
				Any: rapid.IntRange(0, 9).Draw(t, "any") == 0, InfoHash: someHashes(t, "hash"), Match: someMatch(t),
				MaxPrice: units.Price{Msat: units.Msat(rapid.IntRange(0, 5).Draw(t, "price")), Per: units.MiB},
				StopAt:   config.Ratio(rapid.SampledFrom([]int64{0, 1, 1000}).Draw(t, "stop at")),
			})
		}
		b := NewBuying(config.Buy{Rules: rules, PerTorrent: 1, PerDay: 1, Total: 1})
		f := someFacts(t)
		fast, slow := b.Decide(f), b.Explain(f)
		slow.Why = nil
		if !reflect.DeepEqual(fast, slow) {
			t.Fatalf("fast %+v\nslow %+v\nfacts %+v", fast, slow, f)
		}
		if fast.Pay && !b.MightPay(f) {
			t.Fatalf("paid, and might not: %+v", f)
		}
	})
}

// crowded makes rules of every kind, none of which matches plain.
func crowded(n int) *Selling {
	rules := make([]config.SellRule, n)
	no := false
	for i := range rules {
		m := &rules[i].Match
		switch name := fmt.Sprint(i); i % 10 {
		case 0:
			rules[i].InfoHash = []units.InfoHash{{1, byte(i), byte(i >> 8)}}
		case 1:
			m.Category = []string{name}
		case 2:
			m.Tag, m.Private = []string{name}, &no
		case 3:
			m.Tracker = []string{"*." + name + ".example"}
		case 4:
			m.Peer = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(i >> 8), 1}), 32)}
		case 5:
			m.Size = config.Range{Set: true, Least: int64(i), Most: int64(i + 5)}
		case 6:
			m.Identity = []units.PeerKey{{1, byte(i), byte(i >> 8)}}
		case 7:
			m.ClientID = []string{"-" + name}
		case 8:
			m.Seeds, m.Age = config.Range{Set: true, Least: int64(i + 100), Most: int64(i + 105)}, config.Range{Set: true, Least: 1, Most: 1 << 62}
		case 9:
			m.Times = config.Times{Zone: someZones[0], Hours: []config.Span{{From: i % 600, To: i%600 + 1}}}
		}
	}
	return NewSelling(config.Sell{Rules: append(rules, config.SellRule{Any: true, Price: perGiB, Rights: "own"})})
}

var plain = Facts{
	InfoHashes: []units.InfoHash{{9}, {8}}, Remote: netip.MustParseAddr("192.0.2.7"), ClientID: "-qB4520-abcdefghijkl", Identity: units.PeerKey{7},
	Now: time.Date(2024, 5, 1, 20, 0, 0, 0, time.UTC),
	Torrent: &client.Torrent{
		Category: "films", Tags: []string{"a", "b"}, PrivateKnown: true, ProgressKnown: true, Trackers: []string{"udp://tracker.example.org:6969/announce"},
		Size: units.GiB, Ratio: 1, Seeds: 3, Added: time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC),
	},
}

func TestDecideAllocatesNothing(t *testing.T) {
	s := crowded(1000)
	if d := s.Decide(plain); d.Index != 1000 {
		t.Fatalf("matches %d", d.Index)
	}
	if n := testing.AllocsPerRun(100, func() { s.Decide(plain) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDecide is a new session against so many rules of every kind, of which only the last matches.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := crowded(n)
			b.ReportAllocs()
			for b.Loop() {
				if s.Decide(plain).Index != n {
					b.Fatal("another rule matched")
				}
			}
		})
	}
}
