package matrix

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
)

var (
	all  = flag.Bool("all", false, "run every cell, not only the representative ones")
	text = flag.String("table", "", "write the table for a terminal into this `file`")
	tint = flag.Bool("colours", false, "with colours")
	page = flag.String("page", "", "write the table into this `file`, between its markers")
)

// shared is what all cells use: the programs, and the seller's files.
var shared struct {
	programs scenario.Programs
	torrent  *swarm.Torrent
	dir      string
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "pgm")
	if err == nil {
		err = os.Chmod(dir, 0o755) //nolint:gosec // clients run as other users
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shared.dir = dir
	if shared.programs, err = scenario.Build(context.Background(), dir); err == nil {
		shared.torrent, err = swarm.Make(dir+"/seed", "matrix", size)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real clients are not started")
	}
	results := newTable()
	t.Cleanup(func() { report(t, results) })
	for _, c := range cells() {
		if !*all && !c.smoke() {
			continue
		}
		if why := c.impossible(); why != "" {
			results.add(c, outcome{reason: why, never: true})
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					results.add(c, outcome{failed: true})
				}
			}()
			if why := c.hindered(); why != "" {
				results.add(c, outcome{reason: why})
				t.Skip(why)
			}
			results.add(c, outcome{crashed: test(t, c)})
		})
	}
}

// report writes the table for people to look at, and into the page if that is wanted.
func report(t *testing.T, results *table) {
	t.Log("\n" + results.text(false))
	if *text != "" {
		if err := os.WriteFile(*text, []byte(results.text(*tint)), 0o644); err != nil {
			t.Error(err)
		}
	}
	if *page != "" {
		if err := results.write(*page); err != nil {
			t.Error(err)
		}
	}
}

// test plays a cell, and once more if the client under test has crashed: some do without our help. It reports whether
// that was so.
func test(t *testing.T, c cell) (crashed bool) {
	_, err := playIn(t, c)
	if process.Crashed(err) {
		t.Logf("a client has crashed, so the cell is played again: %v", err)
		crashed = true
		_, err = playIn(t, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return crashed
}

// playIn plays a cell in a directory of its own, which is kept if the test fails.
func playIn(t *testing.T, c cell) (*scenario.Bill, error) {
	dir, err := os.MkdirTemp("", "pgm") // not t.TempDir: sockets lie below it, and their paths are limited
	if err == nil {
		err = os.Chmod(dir, 0o755) //nolint:gosec // clients run as other users
	}
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and data are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m := &match{
		t: t, cell: c, dir: dir, programs: shared.programs, torrent: shared.torrent, seedDir: shared.dir + "/seed",
	}
	start := time.Now()
	bill, err := m.play(ctx)
	if bill != nil {
		t.Logf("%s: %s", time.Since(start).Round(10*time.Millisecond), bill)
	}
	return bill, err
}

// TestSmokeStandsForAll holds the representative cells to what their comment says.
func TestSmokeStandsForAll(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range cells() {
		if c.smoke() {
			if why := c.impossible(); why != "" {
				t.Errorf("%s: %s", c.name(), why)
			}
			for _, part := range strings.Split(c.name(), "/") {
				seen[part] = true
			}
		}
	}
	for _, c := range cells() {
		for _, part := range strings.Split(c.name(), "/") {
			if !seen[part] {
				t.Fatalf("no representative cell has %q", part)
			}
		}
	}
	if clients.QBittorrent.Program() == "" {
		t.Error("clients without names")
	}
}
