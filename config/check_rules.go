package config

import (
	"fmt"
	"reflect"

	"paygate/units"
)

// maxRules bounds each list of rules, since what is made of them to find the first match grows with their square.
const maxRules = 4096

// ruleHead is what both kinds of rules have.
type ruleHead struct {
	name  string
	any   bool
	hash  []units.InfoHash
	match Match
	known bool // the list of torrents could be read
}

// Empty reports whether there is no condition at all.
func (m Match) Empty() bool { return reflect.ValueOf(m).IsZero() }

// checkRules looks at what a list of rules selects: each must name something, and none may stand in another's shadow.
func (p *parser) checkRules(group string, rules []ruleHead, c *Config) {
	if len(rules) > maxRules {
		p.wrong(group, fmt.Sprintf("has %d rules, and %d are the most", len(rules), maxRules), "one rule can name many torrents")
	}
	all := "" // name of the rule that takes everything
	first := map[units.InfoHash]string{}
	names := map[string]bool{}
	for i, r := range rules {
		path := fmt.Sprintf("%s[%d]", group, i)
		p.checkTorrents(path, r)
		p.checkMatch(path+".match", r.match, c)
		if names[r.name] {
			p.note(path+".name", "another rule has the name "+clip(r.name)+" too", "give each its own, so that reports can tell them apart")
		}
		names[r.name] = true
		if all != "" {
			p.note(path, "is never reached: the first match wins, and "+clip(all)+" takes every torrent", "move it up")
			continue
		}
		p.checkShadow(path, r, first)
		if r.any && !p.given(path+".match") {
			all = r.name
		}
	}
}

// checkShadow notes torrents that an earlier rule takes from everybody.
func (p *parser) checkShadow(path string, r ruleHead, first map[units.InfoHash]string) {
	for _, h := range r.hash {
		earlier, ok := first[h]
		switch {
		case ok && earlier != r.name:
			p.note(path+".torrents", fmt.Sprintf("%s is taken by %s already, and the first match wins", h, clip(earlier)), "remove it from one of the two")
		case !p.given(path + ".match"):
			first[h] = r.name
		}
	}
}

func (p *parser) checkTorrents(path string, r ruleHead) {
	at := path + ".torrents"
	switch {
	case !r.known || p.isBroken(path):
	case !r.any && len(r.hash) == 0 && r.match.Empty() && p.sound(path+".match", path+".all_torrents"):
		p.wrong(at, "selects no torrent", `write "any", or a list of info-hashes, or conditions under match`)
	case r.any && len(r.hash) > 0:
		p.note(at, "lists info-hashes beside any, which takes every torrent", "remove one of the two")
	}
}

func (p *parser) checkMatch(path string, m Match, c *Config) {
	if len(m.Country) > 0 && c.GeoIP == "" && p.sound("geoip") {
		p.wrong(path+".country", "cannot be told without a file that knows the countries of addresses", "name a MaxMind file (.mmdb) as geoip, at the top level")
	}
	p.checkAsked(path, m, c)
	timed := m.Times.Days != 0 || len(m.Times.Hours) > 0
	switch {
	case !p.sound(path+".time_zone", path+".days", path+".hours"):
	case timed && m.Times.Zone == nil:
		p.wrong(path+".time_zone", "is missing", `name the time zone that days and hours are told in, such as "Europe/Berlin" or "UTC"`)
	case !timed && m.Times.Zone != nil:
		p.wrong(path+".time_zone", "is no condition without days or hours", "add one of them, or remove it")
	}
}

// asked reports whether the clients can be asked about torrents, and whether there are torrent files of all the others.
func asked(c *Config) (byAPI, atAll bool) {
	byAPI, atAll = true, true
	for _, one := range c.PerClient() {
		byAPI = byAPI && one.Client.API.URL != ""
		atAll = atAll && (one.Client.API.URL != "" || one.Client.Torrents != "")
	}
	return byAPI, atAll
}

// checkAsked notes conditions on what nobody tells.
func (p *parser) checkAsked(path string, m Match, c *Config) {
	if !p.sound("client", "clients") {
		return
	}
	byAPI, atAll := asked(c)
	for _, o := range []struct {
		key  string
		asks bool
		told bool
	}{
		{"category", len(m.Category) > 0, byAPI},
		{"tag", len(m.Tag) > 0, byAPI},
		{"age", m.Age.Set, byAPI},
		{"seeds", m.Seeds.Set, byAPI},
		{"ratio", m.Ratio.Set, byAPI},
		{"tracker", len(m.Tracker) > 0, atAll},
		{"private", m.Private != nil, atAll},
		{"size", m.Size.Set, atAll},
	} {
		if o.asks && !o.told {
			p.note(path+"."+o.key, "is never met: nobody tells it of the torrents of a client without an api", "set client.api")
		}
	}
}

// checkResponsible holds a rule that charges against what nobody may do by accident.
func (p *parser) checkResponsible(c *Config, path string, r SellRule) {
	m := r.Match
	picks := len(r.InfoHash) > 0 && !r.Any || len(m.Category)+len(m.Tag)+len(m.Tracker) > 0
	selects := r.Any || !m.Empty()
	if selects && !picks && !r.AllTorrents && p.sound(path+".torrents", path+".match", path+".all_torrents") {
		p.wrong(path+".torrents", "charges for whatever torrents the client has or will have",
			"pick them by info-hash, category, tag or tracker; or write all_torrents: true if your rights cover every one of them")
	}
	if _, told := asked(c); r.AllTorrents && !told && p.sound("client", "clients") {
		p.note(path+".all_torrents", "charges for nothing: a torrent may be private, and nobody tells whether it is", "set client.api or client.torrents, or list info-hashes")
	}
	if r.AllTorrents && len(r.InfoHash) > 0 {
		p.wrong(path+".all_torrents", "contradicts the info-hashes in torrents", "remove one of the two")
	}
	if m.Private != nil && *m.Private && len(r.TrackerAgreed) == 0 && p.sound(path+".tracker_agreed") {
		p.wrong(path+".tracker_agreed", "is missing: a private torrent is its tracker's business, and most trackers forbid to charge",
			"name the host of each tracker that has agreed, or write price: free")
	}
}

// checkDenial reports actions of a rule that takes none.
func (p *parser) checkDenial(path string, r SellRule) {
	if !r.Deny {
		return
	}
	for _, k := range []string{"price", "tiers", "sample", "legacy", "credit", "interval", "auction", "upload", "free_share", "max_peers"} {
		if at := path + "." + k; p.given(at) {
			p.wrong(at, "contradicts deny: these peers get nothing", "remove one of the two")
		}
	}
	if r.Any && !p.given(path+".match") {
		p.wrong(path+".deny", "refuses everybody everything", "name torrents, or conditions under match")
	}
}

// checkFree reports what has no effect on a rule that charges nothing.
func (p *parser) checkFree(path string, r SellRule) {
	if len(r.TrackerAgreed) > 0 {
		p.note(path+".tracker_agreed", "has no effect: the rule charges nothing", "remove it")
	}
	for _, k := range []string{"upload", "max_peers"} {
		if at := path + "." + k; p.given(at) && !r.Deny {
			p.note(at, "has no effect: the rule charges nothing, and what is free passes unseen", "remove it, and set the limit in your client")
		}
	}
	if len(r.Tiers) > 0 && !r.Deny {
		p.wrong(path+".tiers", "have no price to start from", "write the price of the first bytes as price")
	}
}

// checkSharing looks at how the payers of a rule share its upload.
func (p *parser) checkSharing(path string, r SellRule) {
	for i, t := range r.Tiers {
		at := fmt.Sprintf("%s.tiers[%d]", path, i)
		p.required(at, "say from which volume on the price holds, such as 10 GiB", "after")
		p.required(at, `write an amount per size, such as "20 sat per GiB"`, "price")
		if before := tierAfter(r.Tiers, i-1); p.sound(at+".after") && p.given(at+".after") && t.After <= before {
			p.wrong(at+".after", fmt.Sprintf("is not above the volume before it, %s", before), "put the tiers in ascending order, above 0")
		}
	}
	for _, k := range []string{"auction", "free_share"} {
		if at := path + "." + k; p.given(at) && r.Upload == 0 && p.sound(path+".upload", at) {
			p.wrong(at, "shares out an upload that has no limit", `add upload, such as "10 MiB/s"`)
		}
	}
	if p.given(path+".floor_share") && !r.Auction && p.sound(path+".auction") {
		p.note(path+".floor_share", "has no effect without auction: true", "remove it")
	}
	if r.PerTorrent > 0 && (r.Auction || len(r.Tiers) > 0) {
		p.wrong(path+".price", "a price per torrent goes together with neither auction nor tiers", `write an amount per size, such as "25 sat per GiB"`)
	}
	if r.FreeShare+r.FloorShare > 90 && r.Auction {
		p.wrong(path+".free_share", fmt.Sprintf("leaves bidders less than a tenth: free_share and floor_share are %d%% together", r.FreeShare+r.FloorShare), "lower one of them")
	}
	if p.given(path + ".credit") {
		p.required(path+".credit", "say how much of what a buyer has paid he may owe, such as 10%", "percent")
	}
}

func tierAfter(tiers []Tier, i int) units.Bytes {
	if i < 0 {
		return 0
	}
	return tiers[i].After
}
