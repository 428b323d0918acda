package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// report is what a run has found.
type report struct {
	When     string   `json:"when"`
	Machine  string   `json:"machine"`
	Rounds   int      `json:"rounds"`
	Conns    []int    `json:"connections"`
	Idle     int      `json:"idle_sessions"`
	Cipher   figure   `json:"rc4_cpu_seconds_per_gib"`
	Subjects []row    `json:"relays"`
	Ratios   []ratio  `json:"ratios"`
	Missing  []string `json:"missing,omitempty"`
}

// figure is a number that may not have been measured.
type figure float64

// MarshalJSON writes null for what was not measured.
func (f figure) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) {
		return []byte("null"), nil
	}
	return json.Marshal(math.Round(float64(f)*1e4) / 1e4)
}

type row struct {
	Name       string         `json:"name"`
	About      string         `json:"about"`
	Throughput map[int]figure `json:"gib_per_second"`
	CPU        map[int]figure `json:"cpu_seconds_per_gib"`
	P50        figure         `json:"block_p50_ms"`
	P99        figure         `json:"block_p99_ms"`
	Idle       figure         `json:"kib_per_idle_session"`
	Opened     figure         `json:"sessions_per_second"`
}

// ratio is a figure that paygate is held to.
type ratio struct {
	What  string `json:"what"`
	Is    figure `json:"is"`
	Bound figure `json:"bound"`
	Least bool   `json:"at_least,omitempty"` // the bound is a lower one
}

func (r ratio) holds() string {
	switch {
	case math.IsNaN(float64(r.Is)):
		return "not measured"
	case r.Least == (r.Is >= r.Bound) || r.Is == r.Bound:
		return "yes"
	}
	return "NO"
}

func (b *bench) report() report {
	r := report{
		When: time.Now().UTC().Format(time.DateOnly), Machine: fmt.Sprintf("%d cores, %s", runtime.NumCPU(), cpuModel()),
		Rounds: b.o.rounds, Conns: b.o.conns, Idle: b.o.idle, Cipher: figure(b.cipher.median()),
	}
	for _, s := range b.subjects {
		if s.missing != "" {
			r.Missing = append(r.Missing, s.name+": "+s.missing)
			continue
		}
		x := row{
			Name: s.name, About: s.about, Throughput: map[int]figure{}, CPU: map[int]figure{},
			P50: figure(s.p50.median()), P99: figure(s.p99.median()), Idle: figure(s.idle.median()), Opened: figure(s.opened.median()),
		}
		for _, n := range b.o.conns {
			x.Throughput[n] = figure(s.throughput[n].median())
			x.CPU[n] = figure(s.cpu[n].median())
		}
		r.Subjects = append(r.Subjects, x)
	}
	r.Ratios = r.ratios()
	return r
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

// find is the row of a relay, one full of nothing if it was not measured.
func (r *report) find(name string) row {
	for _, x := range r.Subjects {
		if x.Name == name {
			return x
		}
	}
	nan := figure(math.NaN())
	return row{P50: nan, P99: nan, Idle: nan, Opened: nan}
}

func pick(of map[int]figure, conns int) figure {
	if f, ok := of[conns]; ok {
		return f
	}
	return figure(math.NaN())
}

// ratios compares paygate with the others at each number of connections.
func (r *report) ratios() (all []ratio) {
	gated, free := r.find("paygate gated"), r.find("paygate free")
	haproxy, nginx, splice := r.find("haproxy"), r.find("nginx"), r.find("splice")
	for _, n := range r.Conns {
		cpu := func(x row) figure { return pick(x.CPU, n) }
		at := fmt.Sprintf(", %d connections", n)
		all = append(all,
			ratio{What: "gated / haproxy, CPU per GiB" + at, Is: cpu(gated) / cpu(haproxy), Bound: 0.75},
			ratio{What: "gated / nginx, CPU per GiB" + at, Is: cpu(gated) / cpu(nginx), Bound: 0.70},
			ratio{What: "gated / splice, CPU per GiB" + at, Is: cpu(gated) / cpu(splice), Bound: 1.7},
			ratio{What: "free / splice, CPU per GiB" + at, Is: cpu(free) / cpu(splice), Bound: 1.1},
			ratio{What: "gated / haproxy, throughput" + at, Is: pick(gated.Throughput, n) / pick(haproxy.Throughput, n), Bound: 1, Least: true},
			ratio{
				What:  "MSE on two legs / (gated + two passes of RC4), CPU per GiB" + at,
				Is:    cpu(r.find("paygate gated, MSE on two legs")) / (cpu(gated) + 2*r.Cipher),
				Bound: 1.15,
			})
	}
	return append(all,
		ratio{What: "gated / haproxy, p99 of a block at half load", Is: gated.P99 / haproxy.P99, Bound: 1},
		ratio{What: "KiB per idle session, gated", Is: gated.Idle, Bound: 10},
		ratio{What: "KiB per idle session, free", Is: free.Idle, Bound: 10})
}

func (r report) json() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s. Medians of %d rounds. Blocks of 16 KiB from a seeder to its downloaders.\n", r.Machine, r.Rounds)
	t := newTable(w)
	head := table.Row{"relay"}
	for _, n := range r.Conns {
		head = append(head, fmt.Sprintf("GiB/s\nat %d", n), fmt.Sprintf("CPU s/GiB\nat %d", n))
	}
	t.AppendHeader(append(head, "block p50\nms", "block p99\nms", "KiB per\nidle session", "sessions\nper second"))
	for _, x := range r.Subjects {
		line := table.Row{x.Name}
		for _, n := range r.Conns {
			line = append(line, show(x.Throughput[n], 2), show(x.CPU[n], 3))
		}
		t.AppendRow(append(line, show(x.P50, 2), show(x.P99, 2), show(x.Idle, 1), show(x.Opened, 0)))
	}
	t.Render()
	fmt.Fprintf(w, "One pass of RC4: %s CPU s/GiB. direct's own CPU time is that of the two ends and not counted.\n\n", show(r.Cipher, 3))
	t = newTable(w)
	t.AppendHeader(table.Row{"what paygate is held to", "is", "bound", "holds"})
	for _, x := range r.Ratios {
		sign := "<="
		if x.Least {
			sign = ">="
		}
		t.AppendRow(table.Row{x.What, show(x.Is, 2), sign + " " + show(x.Bound, 2), x.holds()})
	}
	t.Render()
	for _, m := range r.Missing {
		fmt.Fprintln(w, "not measured:", m)
	}
}

func newTable(w io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	var columns []table.ColumnConfig
	for i := 2; i < 20; i++ {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	return t
}

func show(f figure, digits int) string {
	if math.IsNaN(float64(f)) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, float64(f))
}
