package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"paygate/units"
)

// figures are what a measurement has found. Waited and Paused are sorted, one for each transfer: what the paygate counted
// as waiting for payments after the first one, and the gaps of more than 100 ms between blocks, for whatever reason.
type figures struct {
	Payers   int         `json:"payers"`
	Alive    int         `json:"payers_at_the_end"`
	Rate     units.Bytes `json:"bytes_per_second_each"`
	Started  float64     `json:"all_had_paid_once_after_s"`
	Seconds  float64     `json:"seconds"`
	Bytes    int64       `json:"bytes"`
	Payments int         `json:"payments"`
	Waited   []float64   `json:"waited_s"`
	Paused   []float64   `json:"paused_s"`
	CPU      float64     `json:"paygate_cpu_s"`
	OwnCPU   float64     `json:"payers_and_seeder_cpu_s"`
	Before   size        `json:"before"`
	After    size        `json:"after"`
}

const (
	mostWaited    = 0.01 // of the time
	spareRoutines = 5
	spareHeap     = 4 * units.MiB // caches that stay
)

func worst(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1]
}

func middle(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

// shrunk reports whether a paygate is as small as before.
func (s size) shrunk(before size) bool {
	return s.Goroutines <= before.Goroutines+spareRoutines && s.Heap <= before.Heap+spareHeap
}

// check says what does not hold.
func (f figures) check() error {
	var wrong []error
	if part := worst(f.Waited) / f.Seconds; part > mostWaited {
		wrong = append(wrong, fmt.Errorf("one transfer waited %.1f %% of its time for payments", 100*part))
	}
	if f.Alive != f.Payers {
		wrong = append(wrong, fmt.Errorf("%d of %d transfers were there at the end", f.Alive, f.Payers))
	}
	if !f.After.shrunk(f.Before) {
		wrong = append(wrong, fmt.Errorf("the paygate has grown: %+v before, %+v after", f.Before, f.After))
	}
	return errors.Join(wrong...)
}

func (f figures) print(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight}})
	row := func(what, format string, args ...any) { t.AppendRow(table.Row{what, fmt.Sprintf(format, args...)}) }
	row("payers at once, each at", "%d, %.2f MB/s", f.Payers, float64(f.Rate)/1e6)
	row("until each had paid once", "%.1f s", f.Started)
	row("measured for", "%.1f s", f.Seconds)
	row("rate of all together", "%.1f MB/s (%.0f %% of what they asked for)", float64(f.Bytes)/1e6/f.Seconds, 100*float64(f.Bytes)/f.Seconds/float64(f.Rate)/float64(f.Payers))
	row("payments", "%.1f per second", float64(f.Payments)/f.Seconds)
	row("waited for payments after the first, worst transfer", "%.3f s (%.2f %%, bound 1 %%)", worst(f.Waited), 100*worst(f.Waited)/f.Seconds)
	row("the same, median transfer", "%.3f s", middle(f.Waited))
	row("gaps above 100 ms, for any reason, worst and median", "%.2f s, %.2f s", worst(f.Paused), middle(f.Paused))
	gib := float64(f.Bytes) / float64(units.GiB)
	row("CPU time of the paygate", "%.1f s, %.2f s per GiB", f.CPU, f.CPU/gib)
	row("CPU time of payers, seeder and Lightning", "%.1f s", f.OwnCPU)
	row("goroutines before and after", "%d, %d", f.Before.Goroutines, f.After.Goroutines)
	row("heap before and after", "%s, %s", f.Before.Heap, f.After.Heap)
	row("resident memory before and after", "%s, %s", f.Before.RSS, f.After.RSS)
	t.Render()
}

// store writes them into a file, unless path is empty.
func (f figures) store(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
