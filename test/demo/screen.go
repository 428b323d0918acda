package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"paygate/test/scenario"
	"paygate/units"
)

// screen shows what happens: to a person on a terminal, or as JSON objects, one a line, to a program.
type screen struct {
	out   io.Writer
	notes io.Writer
	human bool
}

func newScreen(out, notes *os.File) *screen {
	return &screen{out: out, notes: notes, human: term.IsTerminal(int(out.Fd()))}
}

// note says something beside the results, on standard error.
func (s *screen) note(text string) { fmt.Fprintln(s.notes, text) }

func (s *screen) step(text string) {
	if s.human {
		fmt.Fprintf(s.out, "\n%s\n", text)
		return
	}
	s.line(map[string]any{"step": text})
}

func (s *screen) line(v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		s.note(err.Error())
		return
	}
	fmt.Fprintf(s.out, "%s\n", encoded)
}

// progress shows one download.
type progress interface {
	update(done units.Bytes, bill scenario.Bill)
	end(done units.Bytes, bill scenario.Bill)
}

func (s *screen) progress(name string, size units.Bytes) progress {
	if !s.human {
		return &lines{screen: s, name: name, size: size, start: time.Now()}
	}
	bar := progressbar.NewOptions64(int64(size), progressbar.OptionSetWriter(s.out), progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30), progressbar.OptionSetDescription(name), progressbar.OptionThrottle(sampleEvery/2),
		progressbar.OptionSetPredictTime(false), progressbar.OptionShowElapsedTimeOnFinish())
	return &bars{screen: s, bar: bar, name: name}
}

// bars is a progress bar.
type bars struct {
	screen *screen
	bar    *progressbar.ProgressBar
	name   string
}

func (b *bars) update(done units.Bytes, bill scenario.Bill) {
	if bill.Buyer.PaymentsOut > 0 {
		b.bar.Describe(fmt.Sprintf("%s  %s in %d payments", b.name, bill.Buyer.Paid, bill.Buyer.PaymentsOut))
	}
	_ = b.bar.Set64(int64(done))
}

func (b *bars) end(done units.Bytes, bill scenario.Bill) {
	b.update(done, bill)
	_ = b.bar.Exit()
	fmt.Fprintln(b.screen.out)
}

// lines prints an object each second.
type lines struct {
	screen *screen
	name   string
	size   units.Bytes
	start  time.Time
	last   time.Time
	before units.Bytes
}

func (l *lines) update(done units.Bytes, bill scenario.Bill) {
	if time.Since(l.last) >= time.Second {
		l.print(done, bill)
	}
}

func (l *lines) end(done units.Bytes, bill scenario.Bill) { l.print(done, bill) }

func (l *lines) print(done units.Bytes, bill scenario.Bill) {
	since := l.last
	if since.IsZero() {
		since = l.start
	}
	now := time.Now()
	rate := float64(done-l.before) / 1e6 / now.Sub(since).Seconds()
	l.last, l.before = now, done
	l.screen.line(map[string]any{
		"download": l.name, "bytes": done, "of": l.size, "seconds": seconds(now.Sub(l.start)),
		"mb_per_second": float64(int(rate*10)) / 10, "paid_msat": bill.Buyer.Paid, "payments": bill.Buyer.PaymentsOut,
	})
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
