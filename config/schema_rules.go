package config

func sellSchema(s *Sell) []option {
	return []option{
		{key: "sample_per_torrent_day", def: "64 MiB", set: size(&s.SampleTorrentDay)},
		{key: "sample_per_day", def: "256 MiB", set: size(&s.SampleDay)},
		choice("on_lightning_down", "hold", &s.OnLightningDown, "hold", "serve"),
		{key: "serve_at_most", def: "256 MiB", set: size(&s.GraceBytes)},
		{key: "rules", item: func(i, line int) ([]option, func()) {
			r := &SellRule{Name: ruleName("sell", i), Line: line}
			return sellRuleSchema(r), func() {
				r.Any = r.Any || r.AllTorrents
				s.Rules = append(s.Rules, *r)
			}
		}},
	}
}

func sellRuleSchema(r *SellRule) []option {
	return []option{
		{key: "name", set: text(&r.Name, 100)},
		{key: "torrents", each: torrents(&r.Any, &r.InfoHash)},
		{key: "all_torrents", def: "false", set: boolean(&r.AllTorrents)},
		{key: "match", options: matchSchema(&r.Match)},
		{key: "deny", def: "false", set: boolean(&r.Deny)},
		{key: "price", set: priceOrTorrent(&r.Price, &r.PerTorrent)},
		{key: "tiers", item: func(int, int) ([]option, func()) {
			t := &Tier{}
			return tierSchema(t), func() { r.Tiers = append(r.Tiers, *t) }
		}},
		{key: "sample", def: "0 B", set: size(&r.Sample)},
		choice("legacy", "sample", &r.Legacy, "serve", "sample", "throttle", "choke"),
		{key: "throttle", def: "64 KiB", set: size(&r.Throttle)},
		choice("rights", "", &r.Rights, "own", "licensed", "creative-commons", "public-domain"),
		{key: "tracker_agreed", each: hosts(&r.TrackerAgreed)},
		choice("when", "complete", &r.When, "complete", "always"),
		{key: "min", def: "10 sat", set: amount(&r.Min)},
		{key: "max", def: "10000 sat", set: amount(&r.Max)},
		{key: "interval", set: size(&r.Interval)},
		{key: "credit", options: []option{
			{key: "percent", set: percent(&r.Credit.Percent, 1, 10)},
			{key: "cap", def: "1000 sat", set: amount(&r.Credit.Cap)},
		}},
		{key: "max_peers", set: integer(&r.MaxPeers, 1, 100_000)},
		{key: "upload", set: rate(&r.Upload)},
		{key: "free_share", set: percent(&r.FreeShare, 1, 90)},
		{key: "auction", def: "false", set: boolean(&r.Auction)},
		{key: "floor_share", def: "10%", set: percent(&r.FloorShare, 0, 90)},
	}
}

func tierSchema(t *Tier) []option {
	return []option{
		{key: "after", set: size(&t.After)},
		{key: "price", set: price(&t.Price)},
	}
}

func buySchema(b *Buy) []option {
	return []option{
		{key: "per_torrent", set: amount(&b.PerTorrent)},
		{key: "per_peer", def: "none", set: limit(&b.PerPeer)},
		{key: "per_category", def: "none", set: limit(&b.PerCategory)},
		{key: "per_day", set: amount(&b.PerDay)},
		{key: "per_week", def: "none", set: limit(&b.PerWeek)},
		{key: "per_month", def: "none", set: limit(&b.PerMonth)},
		{key: "time_zone", def: "UTC", set: zone(&b.Zone)},
		{key: "total", set: amount(&b.Total)},
		{key: "min", def: "10 sat", set: amount(&b.Min)},
		{key: "max", def: "1000 sat", set: amount(&b.Max)},
		{key: "fee_max", def: "1 sat", set: amount(&b.FeeMax)},
		{key: "fee_percent", def: "1", set: integer(&b.FeePercent, 0, 100)},
		{key: "rules", item: func(i, line int) ([]option, func()) {
			r := &BuyRule{Name: ruleName("buy", i), Line: line}
			return buyRuleSchema(r), func() { b.Rules = append(b.Rules, *r) }
		}},
	}
}

func buyRuleSchema(r *BuyRule) []option {
	return []option{
		{key: "name", set: text(&r.Name, 100)},
		{key: "torrents", each: torrents(&r.Any, &r.InfoHash)},
		{key: "match", options: matchSchema(&r.Match)},
		{key: "max_price", set: price(&r.MaxPrice)},
		{key: "bid", set: price(&r.Bid)},
		{key: "when", def: "always", words: buyWhens, set: buyWhen(&r.When)},
		{key: "stop_at", set: ratio(&r.StopAt)},
	}
}

// matchSchema lists the conditions that both kinds of rules have. None has a default: what is left out is no condition.
func matchSchema(m *Match) []option {
	return []option{
		{key: "category", each: names(&m.Category)},
		{key: "tag", each: names(&m.Tag)},
		{key: "tracker", each: hosts(&m.Tracker)},
		{key: "private", set: optional(&m.Private)},
		{key: "size", set: numbers(&m.Size, bytesOf, `"at least 1 GiB", "at most 4 GiB" or "1 GiB to 4 GiB"`)},
		{key: "age", set: numbers(&m.Age, nanosecondsOf, `"at least 30 d", "at most 12 h" or "1 d to 30 d"`)},
		{key: "seeds", set: numbers(&m.Seeds, countOf, `"at most 3", "at least 10" or "1 to 3"`)},
		{key: "ratio", set: numbers(&m.Ratio, thousandthsOf, `"at least 2", "at most 0.5" or "0.5 to 2"`)},
		{key: "peer", each: networks(&m.Peer)},
		{key: "country", each: countries(&m.Country)},
		{key: "client_id", each: clientIDs(&m.ClientID)},
		{key: "identity", each: identities(&m.Identity)},
		{key: "days", each: weekdays(&m.Times.Days)},
		{key: "hours", each: spans(&m.Times.Hours)},
		{key: "time_zone", set: zone(&m.Times.Zone)},
	}
}
