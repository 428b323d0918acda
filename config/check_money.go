package config

import (
	"fmt"

	"paygate/units"
)

// smallestPurchase is Lightning's practical floor: lnd routes nothing below 1 sat by default.
const smallestPurchase = units.Sat

// block is what BitTorrent clients ask for at once (BEP 3).
const block = 16 * units.KiB

func (p *parser) checkSell(c *Config) {
	heads := make([]ruleHead, len(c.Sell.Rules))
	for i, r := range c.Sell.Rules {
		path := fmt.Sprintf("sell.rules[%d]", i)
		heads[i] = ruleHead{name: r.Name, any: r.Any, hash: r.InfoHash, match: r.Match, known: p.sound(path + ".torrents")}
		p.checkDenial(path, r)
		if !r.Deny && p.sound(path+".deny") {
			p.required(path, `write an amount per size, such as "25 sat per GiB", or per torrent, or "free"`, "price")
		}
		if p.charges(path, r) {
			p.checkCharging(c, path, r)
			p.checkResponsible(c, path, r)
			p.checkSharing(path, r)
		} else if p.given(path+".price") && p.sound(path+".price") {
			p.checkFree(path, r)
		}
	}
	p.checkRules("sell.rules", heads, c)
}

// charges reports whether a rule asks for money. One whose price could not be read surely means to.
func (p *parser) charges(path string, r SellRule) bool {
	return p.given(path+".price") && !r.Deny && (r.Charges() || !p.sound(path+".price"))
}

func (p *parser) checkCharging(c *Config, path string, r SellRule) {
	p.required(path, "say by what right you charge for it: own, licensed, creative-commons or public-domain", "rights")
	p.needsLightning(c, path, "charges")
	p.checkPurchases(path, r.Min, r.Max)
	if p.sound(path+".price", path+".max") && r.PerTorrent == 0 && r.Price.Buys(r.Max) < block {
		p.wrong(path+".max", fmt.Sprintf("the largest purchase, %s, buys less than one block of %s", r.Max, block), "raise max or lower the price")
	}
	if step := r.Price.Charge(r.Interval); r.Interval > 0 && r.PerTorrent == 0 && step < r.Min && p.sound(path+".price", path+".min", path+".interval") {
		p.wrong(path+".interval", fmt.Sprintf("costs %s, less than the smallest purchase, %s", step, r.Min), "raise interval or lower min")
	}
	if p.given(path+".throttle") && r.Legacy != "throttle" && p.sound(path+".legacy") {
		p.note(path+".throttle", "has no effect: legacy is "+r.Legacy, "write legacy: throttle, or remove it")
	}
	if r.Legacy == "throttle" && r.Throttle == 0 && p.sound(path+".throttle") {
		p.wrong(path+".throttle", "is zero, so nothing would ever arrive", "write legacy: choke, or a rate such as 64 KiB")
	}
	p.checkSample(c, path, r)
}

func (p *parser) checkSample(c *Config, path string, r SellRule) {
	if !p.sound(path+".sample", "sell.sample_per_torrent_day", "sell.sample_per_day") {
		return
	}
	if most := min(c.Sell.SampleTorrentDay, c.Sell.SampleDay); r.Sample > most {
		p.note(path+".sample", fmt.Sprintf("is more than all samples of a day together, %s", most), "lower it, or raise sell.sample_per_torrent_day and sell.sample_per_day")
	}
}

// checkPurchases looks at the smallest and the largest purchase of a group.
func (p *parser) checkPurchases(path string, least, most units.Msat) {
	if !p.sound(path+".min", path+".max") {
		return
	}
	if least < smallestPurchase {
		p.wrong(path+".min", fmt.Sprintf("%s is too little to pay over Lightning", least), "write 1 sat or more; 10 sat keeps the overhead low")
	}
	if least > most {
		at := path + ".min"
		if !p.given(at) {
			at = path + ".max"
		}
		p.wrong(at, fmt.Sprintf("the smallest purchase, %s, is more than the largest, %s", least, most), "lower min or raise max")
	}
}

func (p *parser) checkBuy(c *Config) {
	b := c.Buy
	heads := make([]ruleHead, len(b.Rules))
	pays := false
	for i, r := range b.Rules {
		path := fmt.Sprintf("buy.rules[%d]", i)
		heads[i] = ruleHead{name: r.Name, any: r.Any, hash: r.InfoHash, match: r.Match, known: p.sound(path + ".torrents")}
		p.required(path, `write the most you would pay, such as "40 sat per GiB", or "free" to pay nothing`, "max_price")
		if !p.given(path+".max_price") || r.MaxPrice.Free() && p.sound(path+".max_price") {
			continue
		}
		pays = true
		p.needsLightning(c, path, "buys")
		if p.sound(path+".bid", path+".max_price") && r.Bid.Compare(r.MaxPrice) > 0 {
			p.wrong(path+".bid", fmt.Sprintf("%s is more than max_price, %s", r.Bid, r.MaxPrice), "lower it, or raise max_price")
		}
	}
	p.checkRules("buy.rules", heads, c)
	p.checkPurchases("buy", b.Min, b.Max)
	if p.sound("buy.per_torrent", "buy.per_day", "buy.total", "buy.min", "buy.max", "buy.rules") {
		p.checkBudget(b, pays)
	}
}

// checkBudget notes caps that do not do what they seem to.
func (p *parser) checkBudget(b Buy, pays bool) {
	least := min(b.PerTorrent, b.PerDay, b.Total)
	switch {
	case pays && least == 0:
		p.wrong("buy", "rules that buy need a budget, and "+zeroCaps(b)+" is 0", "set per_torrent, per_day and total, such as 1000 sat each: nothing beyond them is ever spent")
	case pays && least < b.Min:
		p.note("buy", fmt.Sprintf("nothing will be spent: the tightest cap, %s, is less than the smallest purchase, %s", least, b.Min), "raise the cap or lower buy.min")
	case !pays && max(b.PerTorrent, b.PerDay, b.Total) > 0:
		p.note("buy", "nothing will be bought: no rule says at what price", "add an entry with torrents and max_price to buy.rules")
	case pays:
		p.tighter("buy.per_torrent", b.PerTorrent, "buy.per_day", b.PerDay)
		p.tighter("buy.per_torrent", b.PerTorrent, "buy.total", b.Total)
		p.tighter("buy.per_day", b.PerDay, "buy.total", b.Total)
		p.tighter("buy.max", b.Max, "buy.per_torrent", b.PerTorrent)
	}
}

// tighter notes a bound that another one makes pointless. Only what the file itself says can be.
func (p *parser) tighter(path string, bound units.Msat, other string, cap units.Msat) {
	if bound > cap && p.given(path) {
		p.note(path, fmt.Sprintf("%s cannot be reached: %s is %s", bound, other, cap), "lower it, or raise "+other)
	}
}

func zeroCaps(b Buy) string {
	switch {
	case b.PerTorrent == 0:
		return "buy.per_torrent"
	case b.PerDay == 0:
		return "buy.per_day"
	}
	return "buy.total"
}
