package config

// option is one key that the file may hold. Exactly one of set, each, options and item says how its value is read.
type option struct {
	key     string
	def     string                                   // default, written as in the file; "" = none
	secret  bool                                     // may come from the environment, and is never shown
	words   []string                                 // what a single value begins with, where that is one of a few words
	set     func(text string) error                  // a single value
	each    func(text string) error                  // a list of single values
	options []option                                 // a group
	item    func(index, line int) ([]option, func()) // a list of groups: what to read, and what to do after, for each entry
}

// schema lists every option there is, with its default, bound to the fields of c.
func schema(p *parser, c *Config) []option {
	return []option{
		{key: "data_dir", def: "~/.paygate", set: p.path(&c.DataDir)},
		{key: "ledger", options: []option{
			{key: "days", def: "90", set: integer(&c.Ledger.Days, 1, 36_500)},
		}},
		{key: "log", options: []option{
			choice("level", "info", &c.Log.Level, "debug", "info", "warn", "error"),
			choice("format", "auto", &c.Log.Format, "auto", "console", "json"),
		}},
		{key: "listen", options: listenSchema(p, &c.Listen)},
		{key: "client", options: append(clientSchema(p, &c.Client), option{key: "name", set: name(&c.Client.Name)})},
		{key: "clients", item: func(int, int) ([]option, func()) {
			f := &Front{}
			return frontSchema(p, f), func() { c.Clients = append(c.Clients, *f) }
		}},
		{key: "encryption", options: []option{
			choice("peers", "auto", &c.Encryption.Peers, "auto", "require", "prefer", "off"),
			choice("client", "auto", &c.Encryption.Client, "auto", "require", "prefer", "off"),
		}},
		{key: "limits", options: limitsSchema(&c.Limits)},
		{key: "lightning", options: lightningSchema(p, &c.Lightning)},
		{key: "sell", options: sellSchema(&c.Sell)},
		{key: "buy", options: buySchema(&c.Buy)},
		{key: "geoip", set: p.path(&c.GeoIP)},
		{key: "observe", def: "false", set: boolean(&c.Observe)},
	}
}

func listenSchema(p *parser, l *Listen) []option {
	return []option{
		{key: "peers", set: ownAddress(&l.Peers)},
		{key: "peers_too", each: ownAddresses(&l.PeersToo)},
		{key: "public_port", set: integer(&l.PublicPort, 1, 65535)},
		{key: "socks5", set: ownAddress(&l.SOCKS5)},
		{key: "http", set: ownAddress(&l.HTTP)},
		{key: "socks5_user", set: text(&l.SOCKS5User, 255)},
		{key: "socks5_password", secret: true, set: secretText(p, &l.SOCKS5Password, 255)},
		{key: "redirect", set: ownAddress(&l.Redirect)},
		{key: "tproxy", set: ownAddress(&l.TProxy)},
	}
}

func frontSchema(p *parser, f *Front) []option {
	return []option{
		{key: "name", set: name(&f.Client.Name)},
		{key: "listen", options: listenSchema(p, &f.Listen)},
		{key: "client", options: clientSchema(p, &f.Client)},
	}
}

func clientSchema(p *parser, c *Client) []option {
	return []option{
		{key: "address", set: farAddress(&c.Address)},
		{key: "address_ipv6", set: farAddress(&c.IPv6)},
		choice("source", "alias", &c.Source, "alias", "peer"),
		{key: "aliases", def: "127.64.0.0/10", set: loopbackRange(&c.Aliases)},
		choice("pex", "auto", &c.PEX, "auto", "translate", "off"),
		{key: "dial", item: func(int, int) ([]option, func()) {
			d := &Dial{}
			return dialSchema(d), func() { c.Dial = append(c.Dial, *d) }
		}},
		{key: "dial_trackers", def: "false", set: boolean(&c.DialTrackers)},
		{key: "dial_at_most", def: "200", set: integer(&c.DialAtMost, 1, 10_000)},
		{key: "dial_per_torrent", def: "50", set: integer(&c.DialPerTorrent, 1, 10_000)},
		{key: "api", options: []option{
			{key: "url", set: webAddress(&c.API.URL)},
			{key: "user", set: text(&c.API.User, 255)},
			{key: "password", secret: true, set: secretText(p, &c.API.Password, 1024)},
		}},
		{key: "torrents", set: p.path(&c.Torrents)},
		{key: "info_hashes", each: infoHashes(&c.InfoHashes)},
	}
}

func dialSchema(d *Dial) []option {
	return []option{
		{key: "info_hash", set: infoHash(&d.InfoHash)},
		{key: "peers", each: farAddresses(&d.Peers)},
	}
}

func limitsSchema(l *Limits) []option {
	return []option{
		{key: "connections", def: "2000", set: integer(&l.Connections, 1, 100_000)},
		{key: "per_address", def: "16", set: integer(&l.PerAddress, 1, 100_000)},
		{key: "handshakes", def: "512", set: integer(&l.Handshakes, 1, 100_000)},
		{key: "handshake_timeout", def: "10 s", set: duration(&l.HandshakeTimeout, "1 s", "120 s")},
		{key: "drain_timeout", def: "10 s", set: duration(&l.DrainTimeout, "0 s", "10 m")},
		{key: "unpaid_peers", def: "60", set: integer(&l.UnpaidPeers, 1, 100_000)},
		{key: "unpaid_slots", def: "8", set: integer(&l.UnpaidSlots, 1, 1000)},
	}
}

func lightningSchema(p *parser, l *Lightning) []option {
	return []option{
		{key: "lndconnect", secret: true, set: p.connect(&p.connection)},
		{key: "address", set: farAddress(&l.Address)},
		{key: "tls_cert", secret: true, set: p.certificate(&l.TLSCert)},
		{key: "macaroon", secret: true, set: p.macaroon(&l.Macaroon)},
		{key: "allow_admin_macaroon", def: "false", set: boolean(&l.AllowAdmin)},
		choice("network", "mainnet", &l.Network, "mainnet", "testnet", "signet", "simnet", "regtest"),
		{key: "pay_timeout", def: "60 s", set: duration(&l.PayTimeout, "5 s", "10 m")},
		{key: "max_parts", def: "1", set: integer(&l.MaxParts, 1, 16)},
		{key: "cltv_limit", def: "288", set: integer(&l.CLTVLimit, 144, 2016)},
		{key: "invoice_ttl", def: "1 h", set: duration(&l.InvoiceTTL, "600 s", "24 h")},
		{key: "private_hints", def: "false", set: boolean(&l.PrivateHint)},
	}
}
