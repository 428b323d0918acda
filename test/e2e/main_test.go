package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/lnd"
	"paygate/test/scenario"
	"paygate/units"
)

// bench is what all scenarios share.
type bench struct {
	programs  scenario.Programs
	lightning scenario.Lightning
}

// lightningVariable names the kind of Lightning network that all scenarios run on: sandbox, lnd or lnd-routed.
const lightningVariable = "PAYGATE_E2E_LIGHTNING"

// shared is set by TestMain, which builds the programs once.
var shared bench

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	var err error
	if shared.lightning, err = scenario.ParseLightning(os.Getenv(lightningVariable)); err != nil {
		fmt.Fprintln(os.Stderr, lightningVariable+":", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if shared.programs, err = scenario.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// need skips the test, with the reason, unless the clients are installed.
func need(t *testing.T, kinds ...clients.Kind) {
	t.Helper()
	for _, k := range kinds {
		if why := k.Missing(); k != "" && why != "" {
			t.Skip(why)
		}
	}
}

// newSite makes a site in a directory that is kept, with every log, if the test fails.
func newSite(t *testing.T, size units.Bytes) *scenario.Site {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // not t.TempDir: sockets lie below it, and their paths are limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and data are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	site, err := scenario.NewSite(dir, shared.programs, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return site
}

func newNetwork(t *testing.T, site *scenario.Site, latency time.Duration) *scenario.Network {
	t.Helper()
	n, err := scenario.StartNetwork(t.Context(), shared.lightning, site.Dir+"/ln", latency, nil)
	if errors.Is(err, lnd.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// newPair starts a pair and, at the end of the test, stops it and fails the test for any error in a paygate's log.
func newPair(t *testing.T, site *scenario.Site, network *scenario.Network, name string, plan scenario.Plan) *scenario.Pair {
	t.Helper()
	p, err := scenario.NewPair(t.Context(), site, network, name, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}
