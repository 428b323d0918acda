package main

import (
	"paygate/config"
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
}

type clientJSON struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Peers   string `json:"peers"`
	SOCKS5  string `json:"socks5"`
	API     string `json:"api,omitempty"`
}

type sellJSON struct {
	Rule      string   `json:"rule"`
	Any       bool     `json:"any"`
	InfoHash  []string `json:"info_hashes"`
	PriceMsat int64    `json:"price_msat"`
	PerBytes  int64    `json:"per_bytes"`
	Sample    int64    `json:"sample_bytes"`
	Legacy    string   `json:"legacy"`
	When      string   `json:"when"`
	Rights    string   `json:"rights,omitempty"`
	Min       int64    `json:"min_msat"`
	Max       int64    `json:"max_msat"`
}

type buyJSON struct {
	Rule      string   `json:"rule"`
	Any       bool     `json:"any"`
	InfoHash  []string `json:"info_hashes"`
	PriceMsat int64    `json:"max_price_msat"`
	PerBytes  int64    `json:"per_bytes"`
}

type capsJSON struct {
	PerTorrent int64 `json:"per_torrent_msat"`
	PerDay     int64 `json:"per_day_msat"`
	Total      int64 `json:"total_msat"`
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
		Sell: []sellJSON{}, Buy: []buyJSON{},
		Caps: capsJSON{int64(c.Buy.PerTorrent), int64(c.Buy.PerDay), int64(c.Buy.Total)},
	}
	for _, one := range c.PerClient() {
		s.Clients = append(s.Clients, clientJSON{one.Client.Name, one.Client.Address, one.Listen.Peers, one.Listen.SOCKS5, one.Client.API.URL})
	}
	if c.Lightning.Enabled() {
		s.Network = c.Lightning.Network
	}
	for _, r := range c.Sell.Rules {
		s.Sell = append(s.Sell, sellJSON{
			r.Name, r.Any, hashTexts(r.InfoHash), int64(r.Price.Msat), int64(r.Price.Per), int64(r.Sample),
			r.Legacy, r.When, r.Rights, int64(r.Min), int64(r.Max),
		})
	}
	for _, r := range c.Buy.Rules {
		s.Buy = append(s.Buy, buyJSON{r.Name, r.Any, hashTexts(r.InfoHash), int64(r.MaxPrice.Msat), int64(r.MaxPrice.Per)})
	}
	return s
}

func hashTexts(list []units.InfoHash) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = h.String()
	}
	return out
}
