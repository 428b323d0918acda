package main

import (
	"fmt"
	"io"

	"paygate/config"
	"paygate/units"
)

// printSummary tells a person what a configuration does.
func printSummary(w io.Writer, c *config.Config) {
	g := newGrid("", "")
	for _, one := range c.PerClient() {
		if one.Client.Name != "" {
			g.row("client", one.Client.Name)
		}
		g.row("peers come in at", found(one, one.Listen.Peers))
		g.row("client listens at", found(one, one.Client.Address))
		g.row("client dials through", orOff(one.Listen.SOCKS5))
		if one.Listen.HTTP != "" {
			g.row("and over HTTP", one.Listen.HTTP)
		}
		if one.Client.Asked() {
			g.row("client is asked at", one.Client.API.URL)
		}
	}
	g.row("lightning node", lightningText(c.Lightning))
	g.row("data", c.DataDir)
	g.print(w, "  ")
	printSell(w, c.Sell)
	printBuy(w, c.Buy)
}

// found is orOff for what a client that is asked may tell.
func found(c *config.Config, s string) string {
	if s == "" && c.Client.Asked() {
		return "as the client tells"
	}
	return orOff(s)
}

func orOff(s string) string {
	if s == "" {
		return "off"
	}
	return s
}

func lightningText(l config.Lightning) string {
	if !l.Enabled() {
		return "off"
	}
	return l.Address + " (" + l.Network + ")"
}

func printSell(w io.Writer, s config.Sell) {
	if len(s.Rules) == 0 {
		fmt.Fprintln(w, "\nSells nothing: every torrent is free.")
		return
	}
	fmt.Fprintln(w, "\nSells, by the first rule that matches:")
	g := newGrid("rule", "torrents", "price", "sample", "others get", "when", "rights", ">smallest", ">largest")
	for _, r := range s.Rules {
		if r.Price.Free() {
			g.row(r.Name, torrentsText(r.Any, r.InfoHash), "free")
			continue
		}
		g.row(r.Name, torrentsText(r.Any, r.InfoHash), r.Price.String(), r.Sample.String(), legacyText(r), r.When, r.Rights, r.Min.String(), r.Max.String())
	}
	g.print(w, "  ")
	fmt.Fprintf(w, "  Samples: at most %s per torrent and day, %s per day. Every other torrent is free.\n", s.SampleTorrentDay, s.SampleDay)
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

func torrentsText(any bool, list []units.InfoHash) string {
	switch {
	case any:
		return "any"
	case len(list) == 1:
		return list[0].String()
	}
	return count(len(list), "torrent")
}

func printBuy(w io.Writer, b config.Buy) {
	if len(b.Rules) == 0 {
		fmt.Fprintln(w, "\nBuys nothing.")
		return
	}
	fmt.Fprintln(w, "\nBuys, by the first rule that matches:")
	g := newGrid("rule", "torrents", "at most")
	for _, r := range b.Rules {
		price := r.MaxPrice.String()
		if r.MaxPrice.Free() {
			price = "never paid for"
		}
		g.row(r.Name, torrentsText(r.Any, r.InfoHash), price)
	}
	g.print(w, "  ")
	fmt.Fprintf(w, "  Caps, fees included: %s per torrent, %s per day, %s in all.\n", b.PerTorrent, b.PerDay, b.Total)
	fmt.Fprintf(w, "  One purchase: %s to %s, with a fee of at most %s or %d%%, whichever is more.\n", b.Min, b.Max, b.FeeMax, b.FeePercent)
}
