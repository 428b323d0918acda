package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"paygate/units"
)

// FuzzParse holds Parse to its word on any input: it never panics, fails only with Problems that each fit on a line
// and point into the file, and what it accepts keeps every promise that the rest of paygate builds on.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile(examplePath)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte(switchedOn(string(example))))
	f.Add([]byte(base + "lightning: {lndconnect: ~/.lnd/paygate.lndconnect}\n"))
	f.Add([]byte(base + "buy: {per_torrent: 5 sat, rules: [{torrents: [" + hashA + "], max_price: 1 sat/MiB}]}\n"))
	f.Add([]byte(two))
	f.Add([]byte("client: {api: {url: 'http://127.0.0.1:8080', password: 'file:~/.paygate/client.password'}}\n"))
	f.Add([]byte("a: &a [*a]\nlisten: *a\n"))
	f.Add([]byte("? {a: b}\n: [c]\n<<: {x: y}\n"))
	f.Add([]byte(strings.Repeat("[", 200)))
	env := homeEnv(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("p.yaml", data, env)
		if err == nil {
			checkPromises(t, c)
			return
		}
		var ps Problems
		if c != nil || !errors.As(err, &ps) || !ps.Fatal() {
			t.Fatalf("config %v, error %v", c, err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") +
			strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029") + 2
		for _, p := range ps {
			if strings.ContainsAny(p.String(), "\n\r\x1b") || p.Message == "" || p.Line < 0 || p.Line > lines {
				t.Errorf("problem %q at line %d of %d", p, p.Line, lines)
			}
		}
	})
}

func checkPromises(t *testing.T, c *Config) {
	t.Helper()
	if c.Notes.Fatal() {
		t.Errorf("accepted with %v", c.Notes)
	}
	for _, one := range c.PerClient() {
		if one.Listen.Peers != "" && one.Client.Address == "" && !one.Client.Asked() {
			t.Error("no client behind the public port")
		}
	}
	if l := c.Limits; l.Connections < 1 || l.PerAddress > l.Connections || l.Handshakes > l.Connections || l.UnpaidSlots > l.UnpaidPeers || l.HandshakeTimeout <= 0 {
		t.Errorf("limits %+v", l)
	}
	if c.Lightning.Enabled() != (c.Lightning.Macaroon != "") || c.Lightning.TLSCert != nil && !holdsCertificate(c.Lightning.TLSCert) {
		t.Error("half a node")
	}
	for _, r := range c.Sell.Rules {
		if !r.Price.Valid() || !r.Any && len(r.InfoHash) == 0 {
			t.Errorf("rule %+v", r)
		}
		if !r.Price.Free() && (r.Rights == "" || !c.Lightning.Enabled() || r.Min < units.Sat || r.Max < r.Min || r.Price.Buys(r.Max) < block) {
			t.Errorf("charging rule %+v", r)
		}
	}
	for _, r := range c.Buy.Rules {
		if !r.MaxPrice.Valid() || !r.MaxPrice.Free() && !c.Lightning.Enabled() {
			t.Errorf("buying rule %+v", r)
		}
	}
	if b := c.Buy; b.Min < units.Sat || b.Max < b.Min || min(b.PerTorrent, b.PerDay, b.Total, b.FeeMax) < 0 {
		t.Errorf("budget %+v", b)
	}
}
