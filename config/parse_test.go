package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"paygate/units"
)

const (
	hashA = "0123456789abcdef0123456789abcdef01234567"
	hashB = "76543210fedcba9876543210fedcba9876543210"
)

// base is a small valid file; cases add to it.
const base = "listen: {peers: 192.0.2.1:6881}\nclient: {address: 127.0.0.1:6881, torrents: /t}\n"

// node is a lightning section whose secrets lie in homeEnv's home.
const node = "lightning: {address: 127.0.0.1:10009, tls_cert: ~/.lnd/tls.cert, macaroon: ~/.lnd/paygate.macaroon}\n"

func mustParse(t *testing.T, data string) *Config {
	t.Helper()
	c, err := Parse("dir/p.yaml", []byte(data), homeEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problemLines parses and returns what it says, each as line:column: path: message (remedy).
func problemLines(t *testing.T, data string) []string {
	t.Helper()
	c, err := Parse("p.yaml", []byte(data), homeEnv(t))
	var ps Problems
	if errors.As(err, &ps) == (c != nil) {
		t.Fatalf("config %v with error %v", c != nil, err)
	}
	if c != nil {
		ps = c.Notes
	}
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = strings.TrimPrefix(p.String(), "p.yaml:")
	}
	return lines
}

func TestDefaults(t *testing.T) {
	c := mustParse(t, base+node+"sell: {rules: [{all_torrents: true, price: 25 sat per GiB, rights: own}]}\nbuy: {per_torrent: 1 sat, per_day: 1 sat, total: 1 sat, rules: [{torrents: "+hashA+", max_price: 40 sat per GiB}]}\n")
	home := filepath.Dir(filepath.Dir(mustEnv(t, c)))
	c.Lightning.TLSCert, c.Lightning.Macaroon, c.Notes = nil, "", nil
	h, _ := units.ParseInfoHash(hashA)
	want := &Config{
		DataDir:    home + "/.paygate",
		Ledger:     Ledger{Days: 90},
		Log:        Log{"info", "auto"},
		Listen:     Listen{Peers: "192.0.2.1:6881"},
		Client:     Client{Address: "127.0.0.1:6881", Source: "alias", PEX: "auto", Torrents: "/t", Aliases: netip.MustParsePrefix("127.64.0.0/10"), DialAtMost: 200, DialPerTorrent: 50},
		Encryption: Encryption{Peers: "auto", Client: "auto"},
		Limits: Limits{
			Connections: 2000, PerAddress: 16, Handshakes: 512, HandshakeTimeout: 10 * time.Second, DrainTimeout: 10 * time.Second,
			UnpaidPeers: 60, UnpaidSlots: 8,
		},
		Lightning: Lightning{
			Address: "127.0.0.1:10009", Network: "mainnet", PayTimeout: time.Minute, MaxParts: 1, CLTVLimit: 288, InvoiceTTL: time.Hour,
		},
		Sell: Sell{
			SampleTorrentDay: 64 * units.MiB, SampleDay: 256 * units.MiB, OnLightningDown: "hold", GraceBytes: 256 * units.MiB,
			Rules: []SellRule{{
				Name: "sell[0]", Line: 4, Any: true, AllTorrents: true, Price: units.Price{Msat: 25 * units.Sat, Per: units.GiB}, Legacy: "sample",
				Throttle: 64 * units.KiB, Rights: "own", When: "complete", Min: 10 * units.Sat, Max: 10_000 * units.Sat,
				Credit: Credit{Cap: 1000 * units.Sat}, FloorShare: 10,
			}},
		},
		Buy: Buy{
			PerTorrent: units.Sat, PerDay: units.Sat, Total: units.Sat,
			Min: 10 * units.Sat, Max: 1000 * units.Sat, FeeMax: units.Sat, FeePercent: 1, Zone: time.UTC,
			Rules: []BuyRule{{Name: "buy[0]", Line: 5, InfoHash: []units.InfoHash{h}, MaxPrice: units.Price{Msat: 40 * units.Sat, Per: units.GiB}, When: BuyWhen{Kind: BuyAlways}}},
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// mustEnv returns the path of a file two levels inside the home directory that c was read with.
func mustEnv(t *testing.T, c *Config) string {
	t.Helper()
	if !strings.HasSuffix(c.DataDir, "/.paygate") {
		t.Fatalf("data_dir %q does not lie in the home directory", c.DataDir)
	}
	return filepath.Join(c.DataDir, "x")
}

func TestEveryValueIsRead(t *testing.T) {
	c := mustParse(t, `
data_dir: state
ledger: {days: 30}
log: {level: debug, format: json}
listen: {peers: 192.0.2.1:6881, peers_too: ["[2001:db8::1]:6881"], public_port: 51413, socks5: 127.0.0.1:1080, http: 127.0.0.1:8118, socks5_user: u, socks5_password: "p w", redirect: ":17000", tproxy: "[::]:17001"}
encryption: {peers: require, client: off}
client:
  address: 127.0.0.1:6882
  address_ipv6: "[::1]:6882"
  source: peer
  aliases: 127.80.0.9/16
  pex: translate
  dial: [{info_hash: `+hashA+`, peers: ["192.0.2.7:1", "[2001:db8::1]:2", "peer.example:3"]}]
  dial_trackers: true
  dial_at_most: 20
  dial_per_torrent: 5
  name: films
  api: {url: "https://box.example/qbt/", user: admin, password: "file:~/.paygate/client.password"}
  torrents: t
  info_hashes: [`+hashB+`]
limits: {connections: 100, per_address: 3, handshakes: 50, handshake_timeout: 3s, drain_timeout: 500 ms, unpaid_peers: 20, unpaid_slots: 4}
lightning:
  address: node.example:10009
  tls_cert: ~/.lnd/tls.cert
  macaroon: ~/.lnd/paygate.macaroon
  network: regtest
  pay_timeout: 30 s
  max_parts: 4
  cltv_limit: 400
  invoice_ttl: 20 m
  private_hints: true
sell:
  sample_per_torrent_day: 1 MiB
  sample_per_day: 2 MiB
  on_lightning_down: serve
  serve_at_most: 3 MiB
  rules:
    - {name: mine, torrents: [`+hashA+`, `+hashB+`], price: 2000 msat per 256 KiB, sample: 1 MiB, legacy: throttle, throttle: 10 kB, rights: licensed, when: always, min: 5 sat, max: 6 sat}
    - {torrents: any, price: free}
buy: {per_torrent: 500 sat, per_day: 600 sat, total: 0.00001 btc, min: 2 sat, max: 400 sat, fee_max: 5 sat, fee_percent: 7, rules: [{name: b, torrents: any, max_price: 1 sat/MiB}]}
`)
	a, _ := units.ParseInfoHash(hashA)
	b, _ := units.ParseInfoHash(hashB)
	if !strings.HasPrefix(string(c.Lightning.TLSCert), "-----BEGIN") || c.Lightning.Macaroon.Reveal() != strings.Repeat("0201", 50) {
		t.Errorf("secrets not read: %q %q", c.Lightning.TLSCert, c.Lightning.Macaroon.Reveal())
	}
	if c.Listen.SOCKS5Password.Reveal() != "p w" {
		t.Error("password not read")
	}
	if c.Client.API.Password.Reveal() != "adminadmin" {
		t.Error("the client's password not read")
	}
	c.Lightning.TLSCert, c.Lightning.Macaroon, c.Listen.SOCKS5Password, c.Client.API.Password = nil, "", "", ""
	want := &Config{
		DataDir: "dir/state", Ledger: Ledger{Days: 30}, Log: Log{"debug", "json"},
		Listen: Listen{Peers: "192.0.2.1:6881", PeersToo: []string{"[2001:db8::1]:6881"}, PublicPort: 51413, SOCKS5: "127.0.0.1:1080", HTTP: "127.0.0.1:8118", SOCKS5User: "u", Redirect: ":17000", TProxy: "[::]:17001"},
		Client: Client{
			Address: "127.0.0.1:6882", IPv6: "[::1]:6882", Source: "peer", PEX: "translate", Aliases: netip.MustParsePrefix("127.80.0.0/16"),
			Dial: []Dial{{InfoHash: a, Peers: []string{"192.0.2.7:1", "[2001:db8::1]:2", "peer.example:3"}}}, DialTrackers: true, DialAtMost: 20, DialPerTorrent: 5,
			Name: "films", API: API{"https://box.example/qbt", "admin", ""}, Torrents: "dir/t", InfoHashes: []units.InfoHash{b},
		},
		Encryption: Encryption{Peers: "require", Client: "off"},
		Limits:     Limits{100, 3, 50, 3 * time.Second, 500 * time.Millisecond, 20, 4},
		Lightning: Lightning{
			Address: "node.example:10009", Network: "regtest", PayTimeout: 30 * time.Second, MaxParts: 4, CLTVLimit: 400,
			InvoiceTTL: 20 * time.Minute, PrivateHint: true,
		},
		Sell: Sell{
			SampleTorrentDay: units.MiB, SampleDay: 2 * units.MiB, OnLightningDown: "serve", GraceBytes: 3 * units.MiB,
			Rules: []SellRule{
				{
					Name: "mine", Line: 38, InfoHash: []units.InfoHash{a, b}, Price: units.Price{Msat: 2000, Per: 256 * units.KiB}, Sample: units.MiB,
					Legacy: "throttle", Throttle: 10_000, Rights: "licensed", When: "always", Min: 5000, Max: 6000, Credit: Credit{Cap: 1_000_000}, FloorShare: 10,
				},
				{
					Name: "sell[1]", Line: 39, Any: true, Legacy: "sample", Throttle: 64 * units.KiB, When: "complete", Min: 10_000, Max: 10_000_000,
					Credit: Credit{Cap: 1_000_000}, FloorShare: 10,
				},
			},
		},
		Buy: Buy{
			Rules:      []BuyRule{{Name: "b", Line: 40, Any: true, MaxPrice: units.Price{Msat: 1000, Per: units.MiB}, When: BuyWhen{Kind: BuyAlways}}},
			PerTorrent: 500_000, PerDay: 600_000, Total: 1_000_000, Min: 2000, Max: 400_000, FeeMax: 5000, FeePercent: 7, Zone: time.UTC,
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// TestEveryFieldHasAnOption fails when a value is added to Config that the file cannot set.
func TestEveryFieldHasAnOption(t *testing.T) {
	values := []reflect.Type{reflect.TypeFor[Range](), reflect.TypeFor[Span](), reflect.TypeFor[BuyWhen]()} // of one option each
	fields := 0
	var walk func(reflect.Type)
	walk = func(rt reflect.Type) {
		for i := range rt.NumField() {
			f := rt.Field(i)
			ft := f.Type
			if ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct {
				ft = ft.Elem()
			}
			inner := ft.Kind() == reflect.Struct && ft.PkgPath() == rt.PkgPath() && !slices.Contains(values, ft)
			switch {
			case f.Name == "Line" || f.Name == "Notes" || f.Name == "Any": // set by the reader; any is a word in torrents
			case inner:
				walk(ft)
			default:
				fields++
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	leaves := 0
	all := everyOption()
	for path := range all {
		if !hasChildren(all, path) {
			leaves++
		}
	}
	leaves-- // lightning.lndconnect stands for three others
	leaves++ // price sets one of two
	if fields != leaves {
		t.Errorf("Config has %d values, the schema %d options for them", fields, leaves)
	}
}

func hasChildren(all map[string]string, path string) bool {
	for other := range all {
		if strings.HasPrefix(other, path+".") || strings.HasPrefix(other, path+"[") {
			return true
		}
	}
	return false
}

func TestAllProblemsAtOnceInOrder(t *testing.T) {
	got := problemLines(t, `listen: {peers: 0.0.0.0:99999}
client: {adress: 127.0.0.1:6881}
log: {level: loud}
sell:
  rules:
    - price: -5 sat per GiB
`)
	want := []string{
		`1:17: listen.peers: "0.0.0.0:99999" is not an address: its port is not a number from 0 to 65535 (write a port such as 6881)`,
		`2:10: client.adress: unknown option (did you mean address?)`,
		`3:14: log.level: "loud" is not a choice here (choose debug, info, warn or error)`,
		`6:7: sell.rules[0].rights: is missing (say by what right you charge for it: own, licensed, creative-commons or public-domain)`,
		`6:7: sell.rules[0]: charges over Lightning, and no node is set (set lightning.lndconnect, or address, tls_cert and macaroon, or remove the rule)`,
		`6:7: sell.rules[0].torrents: selects no torrent (write "any", or a list of info-hashes, or conditions under match)`,
		`6:14: sell.rules[0].price: "-5 sat per GiB" is negative (write 0 or more)`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRelativePathsStartFromTheFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "c.cert"), testCertificate(t), 0o644)
	write(t, filepath.Join(dir, "m.macaroon"), strings.Repeat("ab", 60)+"\n", 0o600)
	file := filepath.Join(dir, "p.yaml")
	write(t, file, base+"data_dir: d\nlightning: {address: 127.0.0.1:1, tls_cert: c.cert, macaroon: m.macaroon}\n", 0o600)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != filepath.Join(dir, "d") || c.Lightning.Macaroon.Reveal() != strings.Repeat("ab", 60) || len(c.Notes) != 0 {
		t.Errorf("got %q, macaroon %q, notes %v", c.DataDir, c.Lightning.Macaroon.Reveal(), c.Notes)
	}
}

func TestLoadErrorsThatAreNotProblems(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge")
	write(t, huge, "", 0o600)
	if err := os.Truncate(huge, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none.yaml"), dir, huge} {
		_, err := Load(path)
		var ps Problems
		if err == nil || errors.As(err, &ps) {
			t.Errorf("Load(%s) = %v, want an error that is not Problems", filepath.Base(path), err)
		}
	}
}

func TestSyntaxErrorIsOneProblem(t *testing.T) {
	for data, want := range map[string]string{
		"a: b\nc: [\n":          "p.yaml:2:1: not valid YAML: ",
		"log:\n\tlevel: info\n": "p.yaml:2:1: not valid YAML: ",
		"log: *x\n":             "p.yaml: not valid YAML: ",
		base + "---\n" + base:   "p.yaml: not valid YAML: holds more than one document",
	} {
		_, err := Parse("p.yaml", []byte(data), homeEnv(t))
		var ps Problems
		if !errors.As(err, &ps) || len(ps) != 1 || !strings.HasPrefix(ps[0].String(), want) {
			t.Errorf("%q: got %v, want %s", data, err, want)
		}
	}
}

func TestEmptyFileHasNothingToDo(t *testing.T) {
	for _, data := range []string{"", "# nothing\n", "~\n", "listen:\nsell:\n  rules:\n"} {
		got := problemLines(t, data)
		if len(got) != 1 || !strings.Contains(got[0], "listen: nothing to do") {
			t.Errorf("%q: %q", data, got)
		}
	}
}
