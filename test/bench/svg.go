package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// Sizes of the plot, in pixels.
const (
	plotWidth = 760
	barHeight = 22
	barGap    = 10
	nameWidth = 230
	plotTop   = 64
)

// svg draws the CPU time of each relay as bars, at the number of connections in the middle of those measured.
func (r report) svg() ([]byte, error) {
	conns := r.Conns[len(r.Conns)/2]
	var rows []row
	most := 0.0
	for _, x := range r.Subjects {
		if cpu := float64(pick(x.CPU, conns)); !math.IsNaN(cpu) && cpu > 0 {
			rows = append(rows, x)
			most = max(most, cpu)
		}
	}
	height := plotTop + len(rows)*(barHeight+barGap) + 30
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="12" y="24" font-size="16">CPU seconds per GiB relayed, %d connections (less is better)</text>`+"\n", conns)
	fmt.Fprintf(&b, `<text x="12" y="44" fill="#666">%s; medians of %d rounds, %s</text>`+"\n", html.EscapeString(r.Machine), r.Rounds, r.When)
	for i, x := range rows {
		cpu := float64(pick(x.CPU, conns))
		y := plotTop + i*(barHeight+barGap)
		width := cpu / most * (plotWidth - nameWidth - 80)
		colour := "#9aa5b1"
		if len(x.Name) > 7 && x.Name[:7] == "paygate" {
			colour = "#d97706"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, nameWidth-8, y+16, html.EscapeString(x.Name))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, nameWidth, y, width, barHeight, colour)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%.3f</text>`+"\n", nameWidth+width+6, y+16, cpu)
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}
