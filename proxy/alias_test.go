package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newAliases(t *testing.T, prefix, path string, c *clock) *aliases {
	t.Helper()
	a, err := openAliases(netip.MustParsePrefix(prefix), loopback("127.0.0.1"), path, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustTake(t *testing.T, a *aliases, remote string) netip.Addr {
	t.Helper()
	alias, err := a.take(loopback(remote))
	if err != nil {
		t.Fatal(err)
	}
	return alias
}

func TestAliasesAreDistinctAndSticky(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	path := filepath.Join(t.TempDir(), "aliases")
	a := newAliases(t, "127.64.0.0/10", path, c)
	seen := map[netip.Addr]string{}
	for i := range 3000 {
		remote := fmt.Sprintf("10.1.%d.%d", i/256, i%256)
		alias := mustTake(t, a, remote)
		if other, dup := seen[alias]; dup || !a.prefix.Contains(alias) {
			t.Fatalf("%s got %s, as %s", remote, alias, other)
		}
		seen[alias] = remote
	}
	if mustTake(t, a, "::ffff:10.1.0.7") != mustTake(t, a, "10.1.0.7") {
		t.Error("a mapped address got an alias of its own")
	}
	six := mustTake(t, a, "2001:db8::1")
	if mustTake(t, a, "2001:db8:0:1::1") == six {
		t.Error("two IPv6 networks share an alias")
	}
	if mustTake(t, a, "2001:db8::2") == six {
		t.Error("two peers of one IPv6 network share an alias, so a client would refuse the second")
	}
	if mustTake(t, a, "2001:db8::1%eth0") != six {
		t.Error("an address with a zone got an alias of its own")
	}
	// Without an orderly end: what was appended counts.
	c.t = c.t.Add(time.Hour)
	b := newAliases(t, "127.64.0.0/10", path, c)
	for alias, remote := range seen {
		if got := mustTake(t, b, remote); got != alias {
			t.Fatalf("%s had %s, after a restart %s", remote, alias, got)
		}
	}
	if fresh := mustTake(t, b, "10.9.9.9"); seen[fresh] != "" || fresh == six {
		t.Errorf("%s was given again", fresh)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAliasesAreQuarantined(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	a := newAliases(t, "127.77.0.0/29", "", c)
	first := mustTake(t, a, "1.0.0.1")
	a.give(loopback("1.0.0.1"))
	c.t = c.t.Add(aliasQuarantine - time.Second)
	if got := mustTake(t, a, "1.0.0.2"); got == first {
		t.Error("an alias was given again in its quarantine, with others free")
	}
	c.t = c.t.Add(time.Second)
	if got := mustTake(t, a, "1.0.0.3"); got != first {
		t.Errorf("got %s, want %s", got, first)
	}
}

func TestAliasesOfAUsedUpRange(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	a := newAliases(t, "127.77.0.0/30", "", c)
	mustTake(t, a, "1.0.0.1")
	second, third := mustTake(t, a, "1.0.0.2"), mustTake(t, a, "1.0.0.3")
	if _, err := a.take(loopback("1.0.0.4")); !errors.Is(err, errNoAlias) {
		t.Fatalf("a fourth alias of three: %v", err)
	}
	a.give(loopback("1.0.0.3"))
	c.t = c.t.Add(time.Second)
	a.give(loopback("1.0.0.2"))
	if got := mustTake(t, a, "1.0.0.4"); got != third {
		t.Errorf("got %s, and %s has been idle for longest", got, third)
	}
	if got := mustTake(t, a, "1.0.0.5"); got != second {
		t.Errorf("got %s, and only %s is idle", got, second)
	}
	if _, err := a.take(loopback("1.0.0.2")); !errors.Is(err, errNoAlias) {
		t.Errorf("aliases in use were given away: %v", err)
	}
}

// TestOneSubscriberDoesNotUseUpTheAliases walks through more addresses of an IPv6 /64 than there are aliases.
func TestOneSubscriberDoesNotUseUpTheAliases(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	a := newAliases(t, "127.64.0.0/24", "", c)
	kept := mustTake(t, a, "198.51.100.7")
	a.give(loopback("198.51.100.7"))
	for addr, n := netip.MustParseAddr("2001:db8::1"), 0; n < 1000; addr, n = addr.Next(), n+1 {
		if _, err := a.take(addr); err != nil {
			t.Fatal(err)
		}
		a.give(addr)
		c.t = c.t.Add(10 * time.Millisecond)
	}
	if got := mustTake(t, a, "203.0.113.9"); got == kept || len(a.taken) != 2+perNetwork {
		t.Errorf("%d aliases are taken", len(a.taken))
	}
	if got := mustTake(t, a, "198.51.100.7"); got != kept {
		t.Error("another peer has lost its alias")
	}
}

func TestAliasesForgetTheOldest(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	a := newAliases(t, "127.64.0.0/10", "", c)
	a.most = 10
	seen := map[netip.Addr]bool{}
	for i := range 100 {
		remote := fmt.Sprintf("10.1.0.%d", i)
		alias := mustTake(t, a, remote)
		if seen[alias] {
			t.Fatalf("%s was given twice", alias)
		}
		seen[alias] = true
		a.give(loopback(remote))
		c.t = c.t.Add(time.Second)
	}
	if len(a.remote) != 10 || len(a.taken) != 10 || a.byAge.Len() != 10 {
		t.Errorf("%d, %d, %d remembered", len(a.remote), len(a.taken), a.byAge.Len())
	}
}

func TestAliasFileWithNonsense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aliases")
	text := "1.2.3.4 127.64.0.9 1000000000\n\x00\xff\n1.2.3.5 10.0.0.1 1\nx 127.64.0.1 1\n1.2.3.6 127.64.0.9 1000000001\n1.2.3.7 127.64.0.1"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAliases(t, "127.64.0.0/10", path, &clock{time.Unix(1e9+10, 0)})
	if got := mustTake(t, a, "1.2.3.6"); got != loopback("127.64.0.9") {
		t.Errorf("the later line gives %s", got)
	}
	if got := mustTake(t, a, "1.2.3.4"); got != loopback("127.64.0.10") {
		t.Errorf("the earlier one now has %s", got)
	}
	if err := a.close(); err != nil {
		t.Error(err)
	}
}

func TestAliasRange(t *testing.T) {
	for _, p := range []string{"10.0.0.0/8", "::1/128", "126.0.0.0/7"} {
		if _, err := openAliases(netip.MustParsePrefix(p), netip.Addr{}, "", time.Now); err == nil {
			t.Errorf("%s was taken", p)
		}
	}
	a, err := openAliases(netip.MustParsePrefix("127.0.0.0/30"), loopback("127.0.0.1"), "", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := mustTake(t, a, "1.1.1.1"); got == loopback("127.0.0.1") {
			t.Error("the client's own address was given")
		}
	}
}

func TestClientSeesAnAliasPerRemote(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.AliasFile = filepath.Join(t.TempDir(), "aliases") })
	from := map[string]netip.Addr{}
	for _, ip := range []string{"127.0.9.1", "127.0.9.2", "127.0.9.1"} {
		remote := r.dialFrom(ip)
		remote.send(hand("x", true, false))
		alias := addrPort(r.accept().RemoteAddr()).Addr()
		if was, ok := from[ip]; ok && was != alias {
			t.Errorf("%s came from %s, then from %s", ip, was, alias)
		}
		from[ip] = alias
	}
	if from["127.0.9.1"] == from["127.0.9.2"] || !netip.MustParsePrefix("127.64.0.0/10").Contains(from["127.0.9.1"]) {
		t.Errorf("aliases %v", from)
	}
}

// TestAliasesOfOneNetwork: a /64 has perNetwork aliases at most, of its own, and those in use are not taken away.
func TestAliasesOfOneNetwork(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	path := filepath.Join(t.TempDir(), "aliases")
	a := newAliases(t, "127.64.0.0/10", path, c)
	of := func(i int) string { return fmt.Sprintf("2001:db8::%d", i) }
	had := map[netip.Addr]int{}
	for i := range perNetwork {
		had[mustTake(t, a, of(i))] = i
		c.t = c.t.Add(time.Second)
	}
	if len(had) != perNetwork {
		t.Fatalf("%d aliases", len(had))
	}
	if _, err := a.take(loopback(of(perNetwork))); !errors.Is(err, errNetworkFull) {
		t.Fatalf("one more of the network: %v", err)
	}
	alias := mustTake(t, a, "2001:db8:0:1::1")
	if _, dup := had[alias]; dup {
		t.Errorf("another network got %s", alias)
	}
	a.give(loopback(of(5)))
	c.t = c.t.Add(time.Second)
	a.give(loopback(of(3)))
	if alias := mustTake(t, a, of(perNetwork)); had[alias] != 5 {
		t.Errorf("got the alias of number %d, and number 5 has been idle for longest", had[alias])
	}
	if alias := mustTake(t, a, of(5)); had[alias] != 3 {
		t.Errorf("got the alias of number %d, and only number 3 is idle", had[alias])
	}
	if n := len(a.nets[netip.MustParseAddr("2001:db8::")]); n != perNetwork {
		t.Errorf("%d leases of the network", n)
	}
	// More of one network in the file than it may have: the last ones count.
	for i := range 3 {
		a.note(&lease{remote: loopback(of(100 + i)), alias: loopback(fmt.Sprintf("127.65.0.%d", i+1))})
	}
	b := newAliases(t, "127.64.0.0/10", path, c)
	if n := len(b.nets[netip.MustParseAddr("2001:db8::")]); n != perNetwork || len(b.remote) != perNetwork+1 {
		t.Errorf("%d leases of the network, %d in all, after a restart", n, len(b.remote))
	}
	for i := range 3 {
		if alias := mustTake(t, b, of(100+i)); alias != loopback(fmt.Sprintf("127.65.0.%d", i+1)) {
			t.Errorf("%s after a restart", alias)
		}
	}
}

// TestAliasesStayUnderPressure has strangers come and go until the range has been used up many times: nobody who is connected loses an
// alias, no two who are connected share one, and whoever was there last is the last to be forgotten.
func TestAliasesStayUnderPressure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clock{time.Unix(1e9, 0)}
		a, err := openAliases(netip.MustParsePrefix("127.77.0.0/27"), loopback("127.0.0.1"), "", c.now)
		if err != nil {
			t.Fatal(err)
		}
		held := map[netip.Addr]netip.Addr{} // alias by remote
		for range 300 {
			c.t = c.t.Add(time.Duration(rapid.Int64Range(0, int64(aliasQuarantine/20)).Draw(t, "pause")))
			n := rapid.IntRange(0, 99).Draw(t, "who")
			remote := netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
			if n%3 == 0 {
				remote = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n))
			}
			if _, ok := held[remote]; ok {
				a.give(remote)
				delete(held, remote)
				continue
			}
			before := a.remote[remote]
			alias, err := a.take(remote)
			if errors.Is(err, errNoAlias) && len(held) >= 30 || errors.Is(err, errNetworkFull) {
				continue
			}
			if err != nil {
				t.Fatalf("%d connected: %v", len(held), err)
			}
			if before != nil && before.Value.(*lease).alias != alias {
				t.Fatalf("%s had %s and got %s", remote, before.Value.(*lease).alias, alias)
			}
			for other, its := range held {
				if its == alias {
					t.Fatalf("%s and %s share %s", remote, other, alias)
				}
			}
			held[remote] = alias
		}
		for remote, alias := range held {
			if got := a.truth(netip.AddrPortFrom(alias, 7)); got != netip.AddrPortFrom(remote, 7) {
				t.Fatalf("%s is %s, which stands for %s", alias, got, remote)
			}
		}
		if len(a.remote) != len(a.taken) || a.byAge.Len() != len(a.taken) {
			t.Fatalf("%d, %d, %d remembered", len(a.remote), len(a.taken), a.byAge.Len())
		}
	})
}

func TestAliasesTellTheTruth(t *testing.T) {
	a := newAliases(t, "127.0.0.0/8", "", &clock{time.Unix(1e9, 0)})
	four, six := mustTake(t, a, "203.0.113.7"), mustTake(t, a, "2001:db8::7")
	at := func(ip netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }
	a.connected(at(four, 40000), 0)
	a.connected(at(six, 40000), 0)
	a.learned(at(six, 40000), 51413)
	a.learned(at(four, 40001), 9) // of a connection that is over
	for _, c := range []struct {
		seen netip.AddrPort
		want string
	}{
		{at(four, 6881), "203.0.113.7:6881"},
		{at(netip.AddrFrom16(four.As16()), 6881), "203.0.113.7:6881"},
		{at(four, 40000), "invalid AddrPort"}, // a port of ours, and nobody knows the remote's
		{at(four, 40001), "203.0.113.7:40001"},
		{at(six, 40000), "[2001:db8::7]:51413"},
		{at(six, 40001), "[2001:db8::7]:40001"},
		{at(four, 0), "invalid AddrPort"},
		{netip.MustParseAddrPort("127.9.9.9:1"), "invalid AddrPort"},
		{netip.MustParseAddrPort("127.0.0.1:6882"), "127.0.0.1:6882"}, // the client itself
		{netip.MustParseAddrPort("198.51.100.1:1"), "198.51.100.1:1"},
		{netip.MustParseAddrPort("[2001:db8::8]:1"), "[2001:db8::8]:1"},
	} {
		if got := a.truth(c.seen); got.String() != c.want {
			t.Errorf("%s is %s, want %s", c.seen, got, c.want)
		}
	}
	a.ended(at(four, 40000))
	if got := a.truth(at(four, 40000)); got.String() != "203.0.113.7:40000" {
		t.Errorf("after the end: %s", got)
	}
	if len(a.legs) != 1 {
		t.Errorf("%d connections are noted", len(a.legs))
	}
}
