package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"

	"paygate/units"
)

// report is how it went.
type report struct {
	Options     options  `json:"-"`
	Seconds     float64  `json:"seconds"`
	Connections int      `json:"connections"`
	Visits      int64    `json:"visits"`
	FreeBlocks  int64    `json:"free_blocks"`
	PaidBlocks  int64    `json:"paid_blocks"`
	Reloads     int      `json:"reloads"`
	Outages     int      `json:"outages"`
	Warnings    int      `json:"warnings_of_outages"`
	Books       books    `json:"books"`
	Before      []vitals `json:"before"`
	After       []vitals `json:"after"`
	Differences []string `json:"differences"`
	Wrong       []string `json:"wrong"`

	began time.Time
}

// judge ends the paygates and fills in what is wrong.
func (s *soak) judge(ctx context.Context, r *report) {
	r.Seconds = time.Since(r.began).Seconds()
	r.Connections, r.Visits, r.FreeBlocks = s.made(), s.visitors.made.Load(), s.visitors.served.Load()
	for _, l := range s.leechers {
		r.PaidBlocks += l.Received()
	}
	r.Reloads, r.Outages = int(s.reloads.Load()), len(s.outages)
	r.Wrong = append(r.Wrong, growth(r.Before, r.After)...)
	wrong := func(format string, args ...any) { r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...)) }
	for _, n := range []struct {
		what     string
		is, want int
	}{
		{"connections", r.Connections, s.connections},
		{"payments", r.Books.Payments, s.payments},
		{"reloads", r.Reloads, s.options.reloads},
		{"outages", r.Outages, s.options.outages},
	} {
		if n.is < n.want {
			wrong("only %d %s, not %d", n.is, n.what, n.want)
		}
	}
	if n := s.visitors.failed.Load(); n > 0 {
		wrong("%d visitors could not connect", n)
	}
	for _, g := range s.gates {
		if err := g.Stop(); err != nil {
			wrong("%s: %v", g.name, err)
		}
		if out, err := g.Command(context.WithoutCancel(ctx), "ledger", "verify"); err != nil {
			wrong("%s: %v: %s", g.name, err, out)
		}
		log, err := os.ReadFile(g.LogFile())
		if err != nil {
			wrong("%s: %v", g.name, err)
		}
		lines, warnings, reloads := bad(string(log), s.outages)
		r.Warnings += warnings
		for _, l := range clip(lines, 5) {
			wrong("%s's log: %s", g.name, l)
		}
		if reloads != r.Reloads {
			wrong("%s has read its configuration %d times, not %d", g.name, reloads, r.Reloads)
		}
	}
}

// screen tells a person on a terminal, or a program by JSON objects, one a line.
type screen struct {
	out   io.Writer
	human bool
}

func newScreen(out *os.File) *screen {
	return &screen{out: out, human: term.IsTerminal(int(out.Fd()))}
}

func (s *screen) note(text string) {
	if s.human {
		fmt.Fprintf(s.out, "\r\x1b[K%s\n", text)
		return
	}
	s.line(map[string]any{"note": text})
}

func (s *screen) line(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Fprintf(s.out, "%s\n", text)
}

// show tells every few seconds how far it is.
func (s *soak) show(ctx context.Context, show *screen, share func() float64) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		b, _, err := s.books(ctx)
		if err != nil {
			continue // the last look tells
		}
		rss, _ := s.gates[0].RSS()
		if !show.human {
			show.line(map[string]any{
				"share": share(), "connections": s.made(), "payments": b.Payments, "reloads": s.reloads.Load(), "seller_rss_bytes": rss,
			})
			continue
		}
		fmt.Fprintf(show.out, "\r\x1b[K%3.0f %%  %d connections  %d payments  %d reloads  seller's memory %s",
			100*share(), s.made(), b.Payments, s.reloads.Load(), rss)
	}
}

var errWrong = errors.New("something is wrong")

// end shows the report, and returns an error if something is wrong.
func (s *screen) end(r *report) error {
	if s.human {
		s.note("")
		s.tables(r)
	} else {
		s.line(r)
	}
	if len(r.Wrong)+len(r.Differences) > 0 {
		return errWrong
	}
	return nil
}

func (s *screen) tables(r *report) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendRows([]table.Row{
		{"connections", r.Connections, "of visitors", r.Visits},
		{"payments", r.Books.Payments, "money", r.Books.Paid},
		{"blocks paid for", r.PaidBlocks, "blocks for free", r.FreeBlocks},
		{"reloads", r.Reloads, "outages", r.Outages},
		{"warnings of outages", r.Warnings, "seconds", int(r.Seconds)},
	})
	fmt.Fprintln(s.out, t.Render())
	t = table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"at rest", "RSS after warm-up", "at the end", "heap", "at the end", "goroutines", "at the end", "descriptors", "at the end"})
	for i, b := range r.Before {
		a := r.After[i]
		t.AppendRow(table.Row{b.Name, b.RSS, a.RSS, b.Heap, a.Heap, b.Goroutines, a.Goroutines, b.Descriptors, a.Descriptors})
	}
	fmt.Fprintln(s.out, t.Render())
	for _, m := range []struct {
		what string
		m    units.Msat
	}{
		{"paid by the buyers' ledgers", r.Books.Paid},
		{"received by the seller's", r.Books.Received},
		{"sent on the network", r.Books.NodeSent},
		{"credit held", r.Books.Held},
		{"credit owed", r.Books.Owed},
	} {
		fmt.Fprintf(s.out, "%-28s %12d msat\n", m.what, int64(m.m))
	}
	for _, w := range append(r.Differences, r.Wrong...) {
		fmt.Fprintln(s.out, "WRONG:", w)
	}
	if len(r.Wrong)+len(r.Differences) == 0 {
		fmt.Fprintln(s.out, "No growth, no line that should not be there, and the books agree to the millisatoshi.")
	}
}
