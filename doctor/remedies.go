package doctor

import (
	"fmt"

	"paygate/client"
)

// knob is one setting of a client: where its owner finds it, and how the client itself calls it.
type knob struct {
	menu string // in the options of a graphical client
	key  string // in the client's own configuration file
}

// set says how to give a knob a value, in the words of the client: menu path and key for qBittorrent, key for
// Transmission, which writes its file when it ends and so must not run meanwhile.
func set(s client.Settings, qb, tr knob) string {
	switch s.Kind {
	case client.QBittorrent:
		return fmt.Sprintf("in qBittorrent %s: Options, %s (qBittorrent.conf: %s)", s.Version, qb.menu, qb.key)
	case client.Transmission:
		return fmt.Sprintf("in Transmission %s: stop it, set %s in settings.json, start it again", s.Version, tr.key)
	}
	return "in the client's options: " + qb.menu
}

func setBind(s client.Settings) string {
	text := set(s,
		knob{"Advanced, Optional IP address to bind to: 127.0.0.1", `[BitTorrent] Session\InterfaceAddress=127.0.0.1`},
		knob{key: `"bind-address-ipv4": "127.0.0.1" and "bind-address-ipv6": "::1"`})
	if s.AnnouncePortOK {
		text += fmt.Sprintf("; or give listen.peers another port, and tell trackers that one: Advanced, Port reported to trackers (qBittorrent.conf: %s)",
			`[BitTorrent] Session\AnnouncePort`)
	}
	return text
}

func portRemedy(s client.Settings) string {
	return set(s, knob{"Connection, Port used for incoming connections: 6881", `[BitTorrent] Session\Port=6881`}, knob{key: `"peer-port": 6881`})
}

func fixPort(s client.Settings) string {
	return set(s, knob{"Connection, Port used for incoming connections: not random, but the public one", `[BitTorrent] Session\Port`}, knob{key: `"peer-port-random-on-start": false`})
}

func utpOff(s client.Settings) string {
	return set(s, knob{"Connection, Peer connection protocol: TCP", `[BitTorrent] Session\BTProtocol=TCP`}, knob{key: `"utp-enabled": false`})
}

// announceRemedy says how to make trackers hear the public port.
func announceRemedy(s client.Settings, port uint16) string {
	switch {
	case s.AnnouncePortOK:
		return set(s, knob{
			fmt.Sprintf("Advanced, Port reported to trackers: %d, and restart it", port), fmt.Sprintf(`[BitTorrent] Session\AnnouncePort=%d`, port),
		}, knob{})
	case s.AnnouncePort == 0:
		return set(s,
			knob{
				fmt.Sprintf("Connection, Port used for incoming connections: %d, on 127.0.0.1", port),
				fmt.Sprintf(`[BitTorrent] Session\Port=%d and Session\InterfaceAddress=127.0.0.1`, port),
			},
			knob{key: fmt.Sprintf(`"peer-port": %d and "bind-address-ipv4": "127.0.0.1"`, port)}) +
			fmt.Sprintf("; set client.address to 127.0.0.1:%d and listen.peers to another address of this machine with the same port; or have the announces pass through paygate (listen.socks5)", port)
	}
	return "tell trackers the public port"
}

func outgoingRemedy(s client.Settings, socks5 string) string {
	if s.Kind == client.QBittorrent {
		if socks5 == "" {
			return setBind(s) + "; a socket bound to it cannot leave the machine"
		}
		return setBind(s) + fmt.Sprintf("; or Connection, Proxy Server: SOCKS5 %s with Use proxy for peer connections", socks5)
	}
	return setBind(s) + ", or redirect its connections: paygate firewall"
}

func slotsRemedy(s client.Settings) string {
	return set(s,
		knob{
			"Connection, no Global maximum number of upload slots, and no Maximum number of upload slots per torrent",
			`[BitTorrent] Session\MaxUploads=-1 and Session\MaxUploadsPerTorrent=-1`,
		},
		knob{key: `"upload-slots-per-torrent": 1000`})
}

func peersRemedy(s client.Settings) string {
	return set(s,
		knob{"Connection, Global maximum number of connections", `[BitTorrent] Session\MaxConnections`},
		knob{key: `"peer-limit-global"`}) + " to more, or lower limits.unpaid_peers"
}

func lanRemedy(s client.Settings) string {
	return set(s, knob{"Speed, Apply rate limit to peers on LAN", `[BitTorrent] Session\IgnoreLimitsOnLAN=false`}, knob{})
}

func lsdRemedy(s client.Settings) string {
	return set(s, knob{"BitTorrent, no Enable Local Peer Discovery", `[BitTorrent] Session\LSDEnabled=false`}, knob{key: `"lpd-enabled": false`})
}

func dhtRemedy(s client.Settings) string {
	return set(s, knob{"BitTorrent, no Enable DHT", `[BitTorrent] Session\DHTEnabled=false`}, knob{key: `"dht-enabled": false`})
}

func forwardingRemedy(s client.Settings) string {
	return set(s,
		knob{"Connection, no Use UPnP / NAT-PMP port forwarding from my router", `[Network] PortForwardingEnabled=false`},
		knob{key: `"port-forwarding-enabled": false`}) + ", and forward listen.peers yourself"
}
