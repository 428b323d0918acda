package doctor

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/config"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("no such thing")

// is compares a finding's verdict and text, and requires a remedy where one is needed.
func is(t *testing.T, name string, f Finding, v Verdict, text string) {
	t.Helper()
	if f.Verdict != v || f.Text != text {
		t.Errorf("%s: %s %q, want %s %q", name, f.Verdict, f.Text, v, text)
	}
	if (f.Remedy != "") != (v == Warn || v == Fail) || f.Check == "" {
		t.Errorf("%s: check %q, remedy %q", name, f.Check, f.Remedy)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// selling and buying are configurations with one rule.
func selling() *config.Config {
	return &config.Config{Sell: config.Sell{Rules: []config.SellRule{
		{Any: true, Price: units.Price{Msat: 25_000, Per: units.GiB}, Min: 10 * units.Sat, Max: 1000 * units.Sat},
	}}}
}

func buying() *config.Config {
	return &config.Config{
		Lightning: config.Lightning{MaxParts: 1},
		Buy: config.Buy{
			Rules:      []config.BuyRule{{Any: true, MaxPrice: units.Price{Msat: 25_000, Per: units.GiB}}},
			PerTorrent: 500 * units.Sat, PerDay: 800 * units.Sat, Total: 10_000 * units.Sat, Min: 10 * units.Sat, Max: 600 * units.Sat,
		},
	}
}
