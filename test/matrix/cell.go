package matrix

import (
	"strings"

	"paygate/test/clients"
)

// role is which side of the sale the client under test is on.
type role string

const (
	sells role = "sells"
	buys  role = "buys"
)

// way is how the client's connections are brought through paygate.
type way string

const (
	inbound  way = "inbound only" // peers come in through listen.peers; the client dials nobody
	socks5   way = "SOCKS5"
	connect  way = "HTTP CONNECT"
	trackers way = "announces"   // paygate reads tracker answers that pass its HTTP proxy, and dials both legs
	redirect way = "redirection" // a firewall rule on the same machine, by user id
	gateway  way = "TPROXY"      // the client in a namespace whose only way out is paygate's
)

var ways = []way{inbound, socks5, connect, trackers, redirect, gateway}

// dials reports whether in cells of that way the party under test opens the connection. Through a gateway a seller
// is reached and a buyer dials: both directions are caught there.
func (w way) dials(r role) bool {
	return w != inbound && (w != gateway || r == buys)
}

var tested = []clients.Kind{
	clients.QBittorrent, clients.QBittorrent5, clients.Transmission, clients.Transmission4, clients.RTorrent,
}

// label is what people call a client.
var label = map[clients.Kind]string{
	clients.QBittorrent:   "qBittorrent 4.5",
	clients.QBittorrent5:  "qBittorrent 5.1",
	clients.Transmission:  "Transmission 3.00",
	clients.Transmission4: "Transmission 4.1",
	clients.RTorrent:      "rtorrent 0.9.8",
}

var encryptions = []clients.Encryption{clients.Plain, clients.Prefer, clients.Require}

// cell is one combination.
type cell struct {
	client     clients.Kind
	role       role
	way        way
	encryption clients.Encryption
	ipv6       bool
}

// cells lists all combinations, possible or not, in the order of the table.
func cells() []cell {
	var all []cell
	for _, client := range tested {
		for _, r := range []role{sells, buys} {
			for _, w := range ways {
				for _, e := range encryptions {
					for _, ipv6 := range []bool{false, true} {
						all = append(all, cell{client, r, w, e, ipv6})
					}
				}
			}
		}
	}
	return all
}

// smoke reports whether the cell is one of the few that stand for all in `make test`: every client, every way, every
// encryption, both families and both roles at least once.
func (c cell) smoke() bool {
	_, chosen := map[cell]bool{
		{clients.QBittorrent5, sells, inbound, clients.Require, true}:   true,
		{clients.QBittorrent, buys, socks5, clients.Prefer, false}:      true,
		{clients.RTorrent, buys, connect, clients.Plain, false}:         true,
		{clients.Transmission4, buys, trackers, clients.Prefer, true}:   true,
		{clients.Transmission, sells, redirect, clients.Plain, false}:   true,
		{clients.QBittorrent5, buys, gateway, clients.Plain, true}:      true,
		{clients.Transmission4, sells, gateway, clients.Require, false}: true,
		{clients.QBittorrent, buys, redirect, clients.Plain, false}:     true,
	}[c]
	return chosen
}

// family is the cell's column heading below its encryption.
func (c cell) family() string {
	if c.ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

// name is unique, and made to be chosen by a pattern.
func (c cell) name() string {
	return strings.Join([]string{string(c.client), string(c.role), string(c.way), string(c.encryption), c.family()}, "/")
}

// impossible says why the client cannot do that; empty: it can.
func (c cell) impossible() string {
	switch {
	case c.way == socks5 && !c.client.TakesSOCKS5():
		return label[c.client] + " has no SOCKS5 proxy for peers"
	case c.way == connect && !c.client.TakesHTTP():
		return label[c.client] + " sends no peer connections through an HTTP proxy"
	case c.way == trackers && (c.client.TakesSOCKS5() || c.client.TakesHTTP()):
		return label[c.client] + " has a proxy for peers, so paygate need not dial for it"
	}
	return ""
}

// hindered says why the cell cannot be run on this machine; empty: it can.
func (c cell) hindered() string {
	if why := c.client.Missing(); why != "" {
		return why
	}
	why := rootless()
	switch {
	case why == "":
		return ""
	case c.way == redirect || c.way == gateway:
		return "firewall rules need root: " + why
	case c.ipv6:
		return "there is only one IPv6 loopback address: " + why
	}
	return ""
}
