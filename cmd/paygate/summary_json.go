package main

import (
	"paygate/config"
	"paygate/policy"
	"paygate/units"
)

// checkJSON is what `paygate check --json` prints. Amounts are in millisatoshi, sizes in bytes.
type checkJSON struct {
	File     string        `json:"file"`
	Valid    bool          `json:"valid"`
	Problems []problemJSON `json:"problems"`
	Summary  *summaryJSON  `json:"summary,omitempty"`
}

type problemJSON struct {
	Severity string `json:"severity"` // error or note
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Path     string `json:"path,omitempty"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty"`
}

// summaryJSON tells of the first client at its top, and of each in Clients.
type summaryJSON struct {
	DataDir   string       `json:"data_dir"`
	Peers     string       `json:"peers"`
	SOCKS5    string       `json:"socks5"`
	Client    string       `json:"client"`
	Clients   []clientJSON `json:"clients"`
	Lightning string       `json:"lightning"`
	Network   string       `json:"network,omitempty"`
	Sell      []sellJSON   `json:"sell"`
	Buy       []buyJSON    `json:"buy"`
	Caps      capsJSON     `json:"caps"`
	GeoIP     string       `json:"geoip,omitempty"`
	Observe   bool         `json:"observe"`
	NodeDown  string       `json:"on_lightning_down"`
	Grace     int64        `json:"serve_at_most_bytes"`
}

type clientJSON struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Peers   string `json:"peers"`
	SOCKS5  string `json:"socks5"`
	API     string `json:"api,omitempty"`
}

type sellJSON struct {
	Rule       string   `json:"rule"`
	Any        bool     `json:"any"`
	InfoHash   []string `json:"info_hashes"`
	Conditions []string `json:"conditions"`
	Deny       bool     `json:"deny"`
	Besides    []string `json:"besides"`
	PerTorrent int64    `json:"per_torrent_msat,omitempty"`
	PriceMsat  int64    `json:"price_msat"`
	PerBytes   int64    `json:"per_bytes"`
	Sample     int64    `json:"sample_bytes"`
	Legacy     string   `json:"legacy"`
	When       string   `json:"when"`
	Rights     string   `json:"rights,omitempty"`
	Min        int64    `json:"min_msat"`
	Max        int64    `json:"max_msat"`
}

type buyJSON struct {
	Rule       string   `json:"rule"`
	Any        bool     `json:"any"`
	InfoHash   []string `json:"info_hashes"`
	Conditions []string `json:"conditions"`
	PriceMsat  int64    `json:"max_price_msat"`
	PerBytes   int64    `json:"per_bytes"`
	When       string   `json:"when"`
	Besides    []string `json:"besides"`
}

type capsJSON struct {
	PerTorrent  int64 `json:"per_torrent_msat"`
	PerPeer     int64 `json:"per_peer_msat,omitempty"`
	PerCategory int64 `json:"per_category_msat,omitempty"`
	PerDay      int64 `json:"per_day_msat"`
	PerWeek     int64 `json:"per_week_msat,omitempty"`
	PerMonth    int64 `json:"per_month_msat,omitempty"`
	Total       int64 `json:"total_msat"`
}

func checkReport(path string, c *config.Config, problems config.Problems) checkJSON {
	r := checkJSON{File: path, Valid: c != nil, Problems: []problemJSON{}}
	for _, p := range problems {
		j := problemJSON{"error", p.File, p.Line, p.Column, p.Path, p.Message, p.Remedy}
		if p.Note {
			j.Severity = "note"
		}
		r.Problems = append(r.Problems, j)
	}
	if c != nil {
		r.Summary = summarize(c)
	}
	return r
}

func summarize(c *config.Config) *summaryJSON {
	first := c.PerClient()[0]
	s := &summaryJSON{
		DataDir: c.DataDir, Peers: first.Listen.Peers, SOCKS5: first.Listen.SOCKS5, Client: first.Client.Address, Lightning: c.Lightning.Address,
		Sell: []sellJSON{}, Buy: []buyJSON{}, Caps: capsOf(c.Buy),
		GeoIP: c.GeoIP, Observe: c.Observe, NodeDown: c.Sell.OnLightningDown, Grace: int64(c.Sell.GraceBytes),
	}
	for _, one := range c.PerClient() {
		s.Clients = append(s.Clients, clientJSON{one.Client.Name, one.Client.Address, one.Listen.Peers, one.Listen.SOCKS5, one.Client.API.URL})
	}
	if c.Lightning.Enabled() {
		s.Network = c.Lightning.Network
	}
	for _, r := range c.Sell.Rules {
		s.Sell = append(s.Sell, sellJSON{
			Rule: r.Name, Any: r.Any, InfoHash: hashTexts(r.InfoHash), Conditions: listed(policy.Conditions(&r.Match)), Deny: r.Deny,
			PriceMsat: int64(r.Price.Msat), PerBytes: int64(r.Price.Per), PerTorrent: int64(r.PerTorrent), Sample: int64(r.Sample),
			Legacy: r.Legacy, When: r.When, Rights: r.Rights, Min: int64(r.Min), Max: int64(r.Max), Besides: listed(besides(r)),
		})
	}
	for _, r := range c.Buy.Rules {
		s.Buy = append(s.Buy, buyJSON{
			Rule: r.Name, Any: r.Any, InfoHash: hashTexts(r.InfoHash), Conditions: listed(policy.Conditions(&r.Match)),
			PriceMsat: int64(r.MaxPrice.Msat), PerBytes: int64(r.MaxPrice.Per), When: whenText(r.When), Besides: listed(buyBesides(r)),
		})
	}
	return s
}

func capsOf(b config.Buy) capsJSON {
	return capsJSON{
		PerTorrent: int64(b.PerTorrent), PerPeer: int64(b.PerPeer), PerCategory: int64(b.PerCategory), PerDay: int64(b.PerDay),
		PerWeek: int64(b.PerWeek), PerMonth: int64(b.PerMonth), Total: int64(b.Total),
	}
}

// listed makes an empty list of a missing one.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func hashTexts(list []units.InfoHash) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = h.String()
	}
	return out
}
