package main

import (
	"fmt"
	"io"

	"paygate/config"
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
	if c.GeoIP != "" {
		g.row("countries by", c.GeoIP)
	}
	g.print(w, "  ")
	printSell(w, c.Sell)
	printBuy(w, c.Buy)
	if c.Observe {
		fmt.Fprintln(w, "\nObserves only: nothing is charged and nothing is paid.")
	}
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
