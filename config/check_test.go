package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rule is a sound selling rule; cases change one thing.
const rule = "sell: {rules: [{torrents: any, all_torrents: true, price: 25 sat per GiB, rights: own"

// TestProblems has one case for each thing that can be wrong. The whole output must be the wanted lines: a mistake is
// told once, and nothing else with it.
// naming is rule for some torrents only.
func naming(torrents string) string {
	return strings.Replace(rule, "any, all_torrents: true", torrents, 1)
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string // path and the start of the message of each problem
	}{
		{"valid", base, nil},
		{"valid with money", base + node + rule + "}]}\nbuy: {per_torrent: 9 sat, per_day: 90 sat, total: 90 sat, min: 1 sat, max: 9 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", nil},
		{"list for a file", "- a\n", []string{": is a list where `key: value` lines are wanted"}},
		{"unknown top key", base + "sel: {}\n", []string{"sel: unknown option (did you mean sell?)"}},
		{"unknown key far from all", base + "log: {colour: red}\n", []string{"log.colour: unknown option (known here: level, format)"}},
		{"duplicate key", base + "log: {level: info}\nlog: {level: debug}\n", []string{"log: set before, on line 3"}},
		{"list for a key", base + "? [a]\n: b\n", []string{": has a list for a key"}},
		{"value for a group", base + "log: info\n", []string{"log: is a single value where `key: value` lines are wanted"}},
		{"group for a value", base + "data_dir: {a: b}\n", []string{"data_dir: is a group of options where a single value is wanted"}},
		{"empty value", base + "data_dir:\n", []string{"data_dir: has no value"}},
		{"alias", "log: &x {level: info}\n" + base + "limits: *x\n", []string{"limits: is an alias (*), which is not supported,"}},
		{"value for a list of groups", base + "sell: {rules: any}\n", []string{"sell.rules: is a single value where a list is wanted"}},
		{"empty rule", base + "buy:\n  rules:\n  -\n", []string{"buy.rules[0].max_price: is missing", "buy.rules[0].torrents: selects no torrent"}},
		{"word for a rule", base + "buy:\n  rules:\n  - any\n", []string{"buy.rules[0]: is a single value where"}},
		{"list in a list of torrents", base + node + naming("[[any]]") + "}]}\n", []string{"sell.rules[0].torrents[0]: is a list where a single value is wanted"}},

		{"bad choice", base + "log: {format: xml}\n", []string{`log.format: "xml" is not a choice here (choose auto, console or json)`}},
		{"bad integer", base + "limits: {connections: 1.5}\n", []string{`limits.connections: "1.5" is not a whole number from 1 to 100000`}},
		{"integer out of range", base + "limits: {connections: 0}\n", []string{`limits.connections: "0" is not a whole number`}},
		{"huge integer", base + "limits: {connections: 99999999999999999999}\n", []string{`limits.connections: "99999999999999999999" is not`}},
		{"duration without unit", base + "limits: {handshake_timeout: 10}\n", []string{`limits.handshake_timeout: "10" is not a duration`}},
		{"duration too long", base + "limits: {handshake_timeout: 3 m}\n", []string{`limits.handshake_timeout: "3 m" is out of range (choose 1 s to 120 s)`}},
		{"negative duration", base + "limits: {drain_timeout: -1 s}\n", []string{`limits.drain_timeout: "-1 s" is out of range`}},
		{"invoice too short", base + node[:len(node)-2] + ", invoice_ttl: 599 s}\n", []string{`lightning.invoice_ttl: "599 s" is out of range (choose 600 s to 24 h)`}},
		{"bad boolean", base + node[:len(node)-2] + ", private_hints: yes}\n", []string{`lightning.private_hints: "yes" is neither true nor false`}},
		{"amount without unit", base + "buy: {total: 10}\n", []string{`buy.total: "10" is not an amount`}},
		{"amount in bytes", base + "buy: {total: 10 MiB}\n", []string{`buy.total: "10 MiB" is not an amount`}},
		{"negative amount", base + "buy: {total: -10 sat}\n", []string{`buy.total: "-10 sat" is negative`}},
		{"half a millisatoshi", base + "buy: {total: 0.0005 sat}\n", []string{`buy.total: "0.0005 sat" is not an amount`}},
		{"size in satoshi", base + "sell: {sample_per_day: 1 sat}\n", []string{`sell.sample_per_day: "1 sat" is not a size`}},
		{"negative size", base + "sell: {sample_per_day: -1 MiB}\n", []string{`sell.sample_per_day: "-1 MiB" is negative`}},
		{"name of two lines", base + node + rule + `, name: "a\nb"}]}`, []string{"sell.rules[0].name: is not a line of 1 to 100 characters"}},
		{"path with a zero byte", base + `data_dir: "a\0b"`, []string{"data_dir: is not a path"}},

		{"address without port", "listen: {peers: 192.0.2.1}\nclient: {address: 127.0.0.1:1}\n", []string{`listen.peers: "192.0.2.1" is not an address: it must be host:port`}},
		{"port too high", "listen: {peers: 192.0.2.1:65536}\nclient: {address: 127.0.0.1:1}\n", []string{`listen.peers: "192.0.2.1:65536" is not an address: its port`}},
		{"named port", "listen: {peers: 192.0.2.1:http}\nclient: {address: 127.0.0.1:1}\n", []string{`listen.peers: "192.0.2.1:http" is not an address: its port`}},
		{"mistyped IPv4", "listen: {peers: 192.0.2.300:1}\nclient: {address: 127.0.0.1:1}\n", []string{`listen.peers: "192.0.2.300:1" is not an address: its host`}},
		{"name with a space", "listen: {peers: 'a b:1'}\nclient: {address: 127.0.0.1:1}\n", []string{`listen.peers: "a b:1" is not an address: its host`}},
		{"client at port 0", "listen: {peers: 192.0.2.1:1}\nclient: {address: 127.0.0.1:0}\n", []string{`client.address: "127.0.0.1:0" is not an address: its port is 0`}},
		{"client anywhere", "listen: {peers: 192.0.2.1:1}\nclient: {address: 0.0.0.0:6881}\n", []string{`client.address: "0.0.0.0:6881" is not an address: nothing can be reached at 0.0.0.0`}},
		{"client nowhere", "listen: {peers: 192.0.2.1:1}\n", []string{"client.address: is missing"}},
		{"port 0", "listen: {peers: 192.0.2.1:0}\nclient: {address: 127.0.0.1:1}\n", []string{"note: listen.peers: port 0 takes any free port"}},
		{"client elsewhere", "listen: {peers: 192.0.2.1:1}\nclient: {address: 198.51.100.7:1}\n", []string{"note: client.address: each peer reaches the client from a loopback address"}},
		{"client behind itself", "listen: {peers: 127.0.0.1:1}\nclient: {address: localhost:1}\n", []string{"client.address: is the address that paygate itself listens on"}},
		{"client behind a wildcard", "listen: {peers: ':1'}\nclient: {address: 127.0.0.1:1}\n", []string{"client.address: is the address that paygate itself listens on"}},
		{"same port on another address", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1}\n", nil},
		{"client by name", "listen: {peers: ':1'}\nclient: {address: qbittorrent:1}\n", nil},
		{"aliases outside loopback", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1, aliases: 10.0.0.0/8}\n", []string{`client.aliases: "10.0.0.0/8" is not a range of loopback addresses`}},
		{"aliases too few", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1, aliases: 127.1.0.0/17}\n", []string{`client.aliases: "127.1.0.0/17" is not a range`}},
		{"open proxy", "listen: {socks5: '0.0.0.0:1080'}\n", []string{"listen.socks5: would be an open proxy"}},
		{"open HTTP proxy", "listen: {http: '0.0.0.0:8118'}\n", []string{"listen.http: would be an open proxy"}},
		{"guarded HTTP proxy", "listen: {http: '0.0.0.0:8118', socks5_user: u, socks5_password: p}\n", nil},
		{"both on one port", "listen: {socks5: '127.0.0.1:1', http: '127.0.0.1:1'}\n", []string{"listen.http: takes the same address as listen.socks5"}},
		{"dial what trackers tell", "listen: {http: '127.0.0.1:8118'}\nclient: {address: 127.0.0.1:1, dial_trackers: true}\n", nil},
		{"no answers to dial", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1, dial_trackers: true}\n", []string{"client.dial_trackers: needs the answers of the trackers"}},
		{"guarded proxy", "listen: {socks5: '0.0.0.0:1080', socks5_user: u, socks5_password: p}\n", nil},
		{"user without password", "listen: {socks5: '127.0.0.1:1080', socks5_user: u}\n", []string{"listen.socks5_user: user and password go together"}},
		{"user without proxy", "listen: {peers: 192.0.2.1:6881, socks5_user: u, socks5_password: p}\nclient: {address: 127.0.0.1:1}\n", []string{"note: listen.socks5_user: has no effect"}},
		{"two listeners on one port", "listen: {peers: '127.0.0.1:1', socks5: '127.0.0.1:1'}\nclient: {address: 127.0.0.1:2}\n", []string{"listen.socks5: takes the same address as listen.peers"}},
		{"redirection only", "listen: {redirect: ':17000'}\n", nil},
		{"TPROXY without a client", "listen: {tproxy: ':17001'}\n", []string{"client.address: is missing"}},
		{"redirection and TPROXY on one port", "listen: {redirect: ':1', tproxy: '[::]:1'}\nclient: {address: 127.0.0.1:2}\n", []string{"listen.tproxy: takes the same address as listen.redirect"}},
		{"client in a namespace", "listen: {tproxy: ':1'}\nclient: {address: 10.98.0.2:2, address_ipv6: '[fd00:98::2]:2', source: peer}\n", nil},
		{"IPv6 address for nothing", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1, address_ipv6: '[::1]:1'}\n", []string{"note: client.address_ipv6: has no effect"}},
		{"IPv6 address that is none", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1, source: peer, address_ipv6: 127.0.0.1:1}\n", []string{"client.address_ipv6: 127.0.0.1:1 is not an IPv6 address"}},
		{"unknown source", "listen: {peers: '192.0.2.1:1'}\nclient: {address: 127.0.0.1:1, source: true}\n", []string{`client.source: "true" is not a choice here (choose alias or peer)`}},
		{"public port for nothing", "listen: {socks5: '127.0.0.1:1', public_port: 7}\n", []string{"note: listen.public_port: is told to the swarm"}},
		{"dial without hash and peers", "client: {address: 127.0.0.1:1, dial: [{}]}\n", []string{"client.dial[0].info_hash: is missing", "client.dial[0].peers: names no peer"}},
		{"dial only", "client: {address: 127.0.0.1:1, dial: [{info_hash: " + hashA + ", peers: ['192.0.2.1:1']}]}\n", nil},

		{"v2 hash", base + node + naming("'1220"+hashA+hashA[:24]+"'") + "}]}", []string{`sell.rules[0].torrents: "1220` + (hashA + hashA)[:56] + `…" is not an info-hash (of a v2 torrent's multihash leave the 1220 in front out)`}},
		{"base32 hash", base + node + naming(strings.Repeat("a", 32)) + "}]}", []string{`sell.rules[0].torrents: "` + strings.Repeat("a", 32) + `" is not an info-hash (this looks like base32`}},
		{"magnet", base + node + naming("'magnet:?xt=urn:btih:"+hashA[:30]+"'") + "}]}", []string{`sell.rules[0].torrents: "magnet:?xt=urn:btih:` + hashA[:30] + `" is not an info-hash (write only the 40`}},
		{"hash twice", base + node + naming("["+hashA+", "+hashA+"]") + "}]}", []string{"note: sell.rules[0].torrents[1]: " + hashA + " stands here twice"}},
		{"any beside hashes", base + node + naming("[any, "+hashA+"]") + "}]}", []string{"sell.rules[0].torrents: charges for whatever torrents the client has", "note: sell.rules[0].torrents: lists info-hashes beside any"}},
		{"shadowed rule", base + node + rule + "}, {torrents: " + hashA + ", price: free}]}", []string{"note: sell.rules[1]: is never reached"}},
		{"hash in two rules", base + node + naming(hashA) + "}, {torrents: [" + hashA + ", " + hashB + "], price: free}]}", []string{"note: sell.rules[1].torrents: " + hashA + " is taken by sell[0] already"}},
		{"shadowed hash", base + node + naming(hashA) + "}, {torrents: any, price: free}, {torrents: " + hashA + ", price: free}]}", []string{"note: sell.rules[2]: is never reached: the first match wins, and sell[1] takes every torrent"}},
		{"one name for two", base + node + naming(hashA) + ", name: x}, {torrents: any, price: free, name: x}]}", []string{"note: sell.rules[1].name: another rule has the name x too"}},

		{"no rights", base + node + strings.Replace(rule, ", rights: own", "", 1) + "}]}", []string{"sell.rules[0].rights: is missing"}},
		{"no rights needed", base + "sell: {rules: [{torrents: any, price: free}]}", nil},
		{"no rights and a bad price", base + node + "sell: {rules: [{all_torrents: true, price: 25}]}", []string{"sell.rules[0].rights: is missing", `sell.rules[0].price: "25" is not a price`}},
		{"wrong rights", base + node + strings.Replace(rule, "own", "mine", 1) + "}]}", []string{`sell.rules[0].rights: "mine" is not a choice here`}},
		{"no price", base + node + "sell: {rules: [{all_torrents: true, rights: own}]}", []string{"sell.rules[0].price: is missing"}},
		{"negative price", base + node + strings.Replace(rule, "25", "-25", 1) + "}]}", []string{`sell.rules[0].price: "-25 sat per GiB" is negative`}},
		{"price per satoshi", base + node + strings.Replace(rule, "GiB", "sat", 1) + "}]}", []string{`sell.rules[0].price: "25 sat per sat" is not a price`}},
		{"sells without a node", base + rule + "}]}", []string{"sell.rules[0]: charges over Lightning, and no node is set"}},
		{"buys without a node", base + "buy: {per_torrent: 9 sat, per_day: 9 sat, total: 9 sat, min: 1 sat, max: 9 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", []string{"buy.rules[0]: buys over Lightning, and no node is set"}},
		{"min above max", base + node + rule + ", min: 20 sat, max: 19 sat}]}", []string{"sell.rules[0].min: the smallest purchase, 20 sat, is more than the largest, 19 sat"}},
		{"default min above max", base + node + rule + ", max: 9 sat}]}", []string{"sell.rules[0].max: the smallest purchase, 10 sat, is more than the largest, 9 sat"}},
		{"min below a satoshi", base + node + rule + ", min: 999 msat}]}", []string{"sell.rules[0].min: 0.999 sat is too little to pay over Lightning"}},
		{"max buys nothing", base + node + strings.Replace(rule, "25 sat per GiB", "1000 sat per B", 1) + "}]}", []string{"sell.rules[0].max: the largest purchase, 10000 sat, buys less than one block"}},
		{"max buys one block", base + node + strings.Replace(rule, "25 sat per GiB", "10000 sat per 16 KiB", 1) + "}]}", nil},
		{"min equals max", base + node + rule + ", min: 20 sat, max: 20 sat}]}", nil},
		{"throttle without throttle", base + node + rule + ", throttle: 1 MiB}]}", []string{"note: sell.rules[0].throttle: has no effect: legacy is sample"}},
		{"upload of a free rule", base + "sell: {rules: [{torrents: any, price: free, upload: 1 MiB/s, max_peers: 3}]}", []string{"note: sell.rules[0].upload: has no effect: the rule charges nothing", "note: sell.rules[0].max_peers: has no effect"}},
		{"throttle to nothing", base + node + rule + ", legacy: throttle, throttle: 0}]}", []string{"sell.rules[0].throttle: is zero"}},
		{"sample above the day's", base + node + rule + ", sample: 65 MiB}]}", []string{"note: sell.rules[0].sample: is more than all samples of a day together, 64 MiB"}},

		{"buy with no budget", base + node + "buy: {per_torrent: 50 sat, per_day: 90 sat, max: 50 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", []string{"buy: rules that buy need a budget, and buy.total is 0"}},
		{"buy with a budget below min", base + node + "buy: {per_torrent: 5 sat, per_day: 9 sat, total: 9 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", []string{"note: buy: nothing will be spent: the tightest cap, 5 sat, is less than the smallest purchase, 10 sat"}},
		{"buy with a budget of min", base + node + "buy: {per_torrent: 10 sat, per_day: 10 sat, total: 10 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", nil},
		{"budget without rules", base + node + "buy: {per_torrent: 5 sat}", []string{"note: buy: nothing will be bought: no rule says at what price"}},
		{"free rule buys nothing", base + "buy: {rules: [{torrents: any, max_price: free}]}", nil},
		{"cap above a cap", base + node + "buy: {per_torrent: 50 sat, per_day: 40 sat, total: 60 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", []string{"note: buy.per_torrent: 50 sat cannot be reached: buy.per_day is 40 sat"}},
		{"purchase above a cap", base + node + "buy: {per_torrent: 50 sat, per_day: 50 sat, total: 60 sat, max: 51 sat, rules: [{torrents: any, max_price: 1 sat/MiB}]}", []string{"note: buy.max: 51 sat cannot be reached: buy.per_torrent is 50 sat"}},
		{"buy min above max", base + "buy: {min: 5 sat, max: 4 sat}", []string{"buy.min: the smallest purchase, 5 sat, is more than the largest, 4 sat"}},
		{"fee above all", base + "buy: {fee_percent: 101}", []string{`buy.fee_percent: "101" is not a whole number from 0 to 100`}},

		{"more per address than in all", base + "limits: {connections: 10, per_address: 11}", []string{"limits.per_address: 11 is more than limits.connections, 10"}},
		{"more handshakes than in all", base + "limits: {connections: 10, handshakes: 11}", []string{"limits.handshakes: 11 is more than limits.connections, 10"}},
		{"more slots than unpaid peers", base + "limits: {unpaid_peers: 10, unpaid_slots: 11}", []string{"limits.unpaid_slots: 11 is more than limits.unpaid_peers, 10"}},
		{"limits that meet", base + "limits: {connections: 10, per_address: 10, handshakes: 10, unpaid_peers: 10, unpaid_slots: 10}", nil},
		{"defaults give way", base + "limits: {connections: 5}", nil},

		{"node without secrets", base + "lightning: {address: 127.0.0.1:1}", []string{"lightning.tls_cert: is missing", "lightning.macaroon: is missing"}},
		{"secrets without node", base + "lightning: {macaroon: ~/.lnd/paygate.macaroon}", []string{"lightning.address: is missing"}},
		{"mistyped node", base + "lightning: {adress: 127.0.0.1:1}\n" + rule + "}]}", []string{"lightning.adress: unknown option (did you mean address?)"}},
		{"unknown network", base + node[:len(node)-2] + ", network: bitcoin}", []string{`lightning.network: "bitcoin" is not a choice here`}},
	} {
		t.Run(c.name, func(t *testing.T) { expectProblems(t, c.data, c.want) })
	}
}

// expectProblems holds what is said about a file against the path and the start of each message.
func expectProblems(t *testing.T, data string, want []string) {
	t.Helper()
	got := problemLines(t, data)
	if len(got) != len(want) {
		t.Fatalf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for i := range got {
		if _, after, _ := strings.Cut(got[i], " "); !strings.HasPrefix(strings.TrimPrefix(after, ": "), strings.TrimPrefix(want[i], ": ")) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func TestLimitsGiveWayToTheirBounds(t *testing.T) {
	c := mustParse(t, base+"limits: {connections: 5}")
	if l := c.Limits; l.PerAddress != 5 || l.Handshakes != 5 || l.UnpaidPeers != 5 || l.UnpaidSlots != 5 {
		t.Errorf("limits %+v exceed connections", l)
	}
}

func TestFileThatOthersCanRead(t *testing.T) {
	hex := strings.Repeat("ab", 60)
	for _, c := range []struct {
		name, data string
		mode       os.FileMode
		notes      int
	}{
		{"macaroon inside", "lightning: {address: 127.0.0.1:1, tls_cert: c.cert, macaroon: " + hex + "}\n", 0o644, 1},
		{"macaroon inside, closed", "lightning: {address: 127.0.0.1:1, tls_cert: c.cert, macaroon: " + hex + "}\n", 0o600, 0},
		{"macaroon beside", "lightning: {address: 127.0.0.1:1, tls_cert: c.cert, macaroon: m.macaroon}\n", 0o644, 0},
		{"open macaroon beside", "lightning: {address: 127.0.0.1:1, tls_cert: c.cert, macaroon: open.macaroon}\n", 0o644, 1},
		{"password inside", "listen: {socks5: '127.0.0.1:2', socks5_user: u, socks5_password: p}\n", 0o640, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "c.cert"), testCertificate(t), 0o644)
			write(t, filepath.Join(dir, "m.macaroon"), hex, 0o600)
			write(t, filepath.Join(dir, "open.macaroon"), hex, 0o640)
			file := filepath.Join(dir, "p.yaml")
			data := c.data
			if !strings.Contains(data, "listen:") {
				data += base
			}
			write(t, file, "data_dir: d\n"+data, c.mode)
			got, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Notes) != c.notes {
				t.Errorf("notes: %v, want %d", got.Notes, c.notes)
			}
		})
	}
}
