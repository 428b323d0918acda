package main

import (
	"fmt"
	"io"
	"strings"

	"paygate/config"
	"paygate/policy"
	"paygate/units"
)

func printSell(w io.Writer, s config.Sell) {
	if len(s.Rules) == 0 {
		fmt.Fprintln(w, "\nSells nothing: every torrent is free.")
		return
	}
	fmt.Fprintln(w, "\nSells, by the first rule that matches:")
	g := newGrid("rule", "for", "price", "sample", "others get", "when", "rights", ">smallest", ">largest", "besides")
	for _, r := range s.Rules {
		for i, scope := range scopeTexts(r.Any, r.InfoHash, &r.Match) {
			switch {
			case i > 0:
				g.row("", scope)
			case r.Deny:
				g.row(r.Name, scope, "refused")
			case !r.Charges():
				g.row(r.Name, scope, "free")
			default:
				g.row(r.Name, scope, priceText(r), r.Sample.String(), legacyText(r), r.When, r.Rights, r.Min.String(), r.Max.String(), strings.Join(besides(r), "; "))
			}
		}
	}
	g.print(w, "  ")
	fmt.Fprintf(w, "  Samples: at most %s per torrent and day, %s per day. Every other torrent is free.\n", s.SampleTorrentDay, s.SampleDay)
	if s.OnLightningDown == "serve" {
		fmt.Fprintf(w, "  While the Lightning node is down: served on, at most %s an outage.\n", s.GraceBytes)
	} else {
		fmt.Fprintln(w, "  While the Lightning node is down: buyers wait once their credit is used up.")
	}
}

// scopeTexts says which peers and torrents a rule is for, a line for each condition.
func scopeTexts(any bool, list []units.InfoHash, m *config.Match) []string {
	conditions := policy.Conditions(m)
	switch {
	case any && len(conditions) > 0:
		return conditions
	case any:
		return []string{"any"}
	case len(list) == 1:
		return append([]string{list[0].String()}, conditions...)
	case len(list) > 0 || len(conditions) == 0:
		return append([]string{count(len(list), "torrent")}, conditions...)
	}
	return conditions
}

func priceText(r config.SellRule) string {
	if r.PerTorrent > 0 {
		return r.PerTorrent.String() + " per torrent"
	}
	return r.Price.String()
}

func legacyText(r config.SellRule) string {
	switch r.Legacy {
	case "serve":
		return "all, free"
	case "throttle":
		return r.Throttle.String() + "/s"
	case "choke":
		return "nothing"
	}
	return "the sample"
}

// besides lists what few rules say.
func besides(r config.SellRule) (all []string) {
	add := func(set bool, format string, args ...any) {
		if set {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	for _, t := range r.Tiers {
		add(true, "%s after %s", t.Price, t.After)
	}
	add(r.Interval > 0, "at most %s a purchase", r.Interval)
	add(r.Credit.Percent > 0, "credit %d%% of what was paid, at most %s", r.Credit.Percent, r.Credit.Cap)
	add(r.MaxPeers > 0, "at most %s", count(r.MaxPeers, "peer"))
	add(r.Upload > 0, "upload %s/s", r.Upload)
	add(r.FreeShare > 0, "%d%% of it for those who do not pay", r.FreeShare)
	add(r.Auction, "the rest by bids, %d%% of it at the floor", r.FloorShare)
	add(len(r.TrackerAgreed) > 0, "private torrents of %s", strings.Join(r.TrackerAgreed, ", "))
	return all
}

func printBuy(w io.Writer, b config.Buy) {
	if len(b.Rules) == 0 {
		fmt.Fprintln(w, "\nBuys nothing.")
		return
	}
	fmt.Fprintln(w, "\nBuys, by the first rule that matches:")
	g := newGrid("rule", "for", "at most", "when", "besides")
	for _, r := range b.Rules {
		for i, scope := range scopeTexts(r.Any, r.InfoHash, &r.Match) {
			switch {
			case i > 0:
				g.row("", scope)
			case r.MaxPrice.Free():
				g.row(r.Name, scope, "never paid for")
			default:
				g.row(r.Name, scope, r.MaxPrice.String(), whenText(r.When), strings.Join(buyBesides(r), "; "))
			}
		}
	}
	g.print(w, "  ")
	fmt.Fprintf(w, "  Caps, fees included: %s.\n", capsText(b))
	fmt.Fprintf(w, "  One purchase: %s to %s, with a fee of at most %s or %d%%, whichever is more.\n", b.Min, b.Max, b.FeeMax, b.FeePercent)
}

func whenText(w config.BuyWhen) string {
	switch w.Kind {
	case config.BuySlower:
		return fmt.Sprintf("slower than %s/s for %s", w.Rate, w.For)
	case config.BuyNoFreeSeeds:
		return "no free seeds"
	}
	return w.Kind
}

func buyBesides(r config.BuyRule) (all []string) {
	if !r.Bid.Free() {
		all = append(all, "bids "+r.Bid.String())
	}
	if r.StopAt > 0 {
		all = append(all, "until our ratio is "+r.StopAt.String())
	}
	return all
}

// capsText lists the caps that there are.
func capsText(b config.Buy) string {
	var all []string
	for _, c := range []struct {
		cap  units.Msat
		what string
	}{
		{b.PerTorrent, "per torrent"},
		{b.PerPeer, "per seller"},
		{b.PerCategory, "per category"},
		{b.PerDay, "per day"},
		{b.PerWeek, "per week"},
		{b.PerMonth, "per month"},
		{b.Total, "in all"},
	} {
		if c.cap > 0 {
			all = append(all, c.cap.String()+" "+c.what)
		}
	}
	return strings.Join(all, ", ")
}
