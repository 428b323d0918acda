package main

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsOfAShorterSoakAreAShare(t *testing.T) {
	o, err := parse([]string{"-time", "1m"})
	if err != nil || o.connections != 2000 || o.payments != 1000 || o.reloads != 5 || o.outages != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-time", "1s"}, {"-connections", "0"}, {"-outages", "-1"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestOnlyOutagesExcuseWarnings(t *testing.T) {
	outage := window{from: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), to: time.Date(2026, 1, 1, 12, 0, 4, 0, time.UTC)}
	line := func(level, at, message string) string {
		return `{"level":"` + level + `","ts":"2026-01-01T` + at + `.000Z","msg":"` + message + `"}` + "\n"
	}
	const known, unknown = "no invoice could be made", "the sky has fallen"
	for name, c := range map[string]struct {
		log string
		bad int
	}{
		"nothing":                {"", 0},
		"information":            {line("info", "11:00:00", unknown), 0},
		"a warning of it":        {line("warn", "12:00:02", known), 0},
		"soon after it":          {line("warn", "12:00:30", known), 0},
		"before it":              {line("warn", "11:59:50", known), 1},
		"long after it":          {line("warn", "12:00:40", known), 1},
		"another warning in it":  {line("warn", "12:00:02", unknown), 1},
		"an error in it":         {line("error", "12:00:02", known), 1},
		"what is no line":        {"panic: oh\n\ngoroutine 1 [running]:\n", 3},
		"a warning of no moment": {`{"level":"warn","msg":"` + known + `"}` + "\n", 1},
	} {
		if lines, _, _ := bad(c.log, []window{outage}); len(lines) != c.bad {
			t.Errorf("%s: %q", name, lines)
		}
	}
	_, warnings, reloads := bad(line("warn", "12:00:02", known)+line("info", "12:00:02", "the configuration was read again"), []window{outage})
	if warnings != 1 || reloads != 1 {
		t.Errorf("%d warnings, %d reloads", warnings, reloads)
	}
}

func TestGrowthIsFound(t *testing.T) {
	was := vitals{Name: "seller", RSS: 50 * units.MiB, Heap: 8 * units.MiB, Goroutines: 30, Descriptors: 25}
	if grown := growth([]vitals{was}, []vitals{was}); len(grown) != 0 {
		t.Error(grown)
	}
	for what, change := range map[string]func(*vitals){
		"resident": func(v *vitals) { v.RSS += moreRSS + 1 }, "heap": func(v *vitals) { v.Heap += moreHeap + 1 },
		"goroutines": func(v *vitals) { v.Goroutines += moreGoroutines + 1 }, "descriptors": func(v *vitals) { v.Descriptors += moreDescriptors + 1 },
	} {
		is := was
		change(&is)
		if grown := growth([]vitals{was}, []vitals{is}); len(grown) != 1 || !strings.Contains(grown[0], what) {
			t.Errorf("%s: %q", what, grown)
		}
	}
}

func TestBooksThatDiffer(t *testing.T) {
	b := books{Payments: 2, Paid: 20, Fees: 2, Held: 5, Received: 20, Earned: 15, Owed: 5, NodeSent: 20, NodeFees: 2, NodeReceived: 20, Settled: 2}
	if d := b.differences(); len(d) != 0 {
		t.Error(d)
	}
	for _, change := range []func(*books){
		func(b *books) { b.Received-- }, func(b *books) { b.NodeSent++ }, func(b *books) { b.Fees++ }, func(b *books) { b.NodeReceived++ },
		func(b *books) { b.Held++ }, func(b *books) { b.Debt = 1 }, func(b *books) { b.Pending = 1 }, func(b *books) { b.Settled-- },
	} {
		wrong := b
		change(&wrong)
		if len(wrong.differences()) == 0 {
			t.Errorf("%+v", wrong)
		}
	}
}
