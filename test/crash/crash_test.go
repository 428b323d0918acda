package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSandbox kills paygates and sandboxed nodes. PAYGATE_CRASH_SEED repeats the order of an earlier campaign, and
// PAYGATE_CRASH_KILLS sets its length.
func TestSandbox(t *testing.T) {
	o := Options{Kills: 200, Lanes: 12, Seed: number(t, "PAYGATE_CRASH_SEED", rand.Uint64N(1_000_000)), Log: t.Logf}
	if testing.Short() {
		o.Kills, o.Lanes = 20, 4
	}
	o.Kills = int(number(t, "PAYGATE_CRASH_KILLS", uint64(o.Kills)))
	o.Lanes = int(number(t, "PAYGATE_CRASH_LANES", uint64(o.Lanes)))
	o.Dir = directory(t)
	o.Program = build(t, o.Dir)
	o.Troubles = []string{"drop-connection", "stuck-in-flight", "drop-unheard"}
	o.Lightning = func(context.Context, int) (*Lightning, error) { return NewSandbox(30 * time.Millisecond) }
	report, err := Run(t.Context(), o)
	t.Log(report)
	if err != nil {
		t.Error(err)
	}
	judge(t, report, o.Kills)
	if report.Payments != report.Succeeded+report.Failed {
		t.Error("the sandbox forgets no payment, and yet one is still open")
	}
}

// judge holds a campaign to what it promises. A real node may leave a payment in flight for ever; it is then listed, and
// its amount reserved.
func judge(t *testing.T, r *Report, kills int) {
	t.Helper()
	if r.Kills() < kills {
		t.Errorf("%d kills, not %d", r.Kills(), kills)
	}
	for _, d := range r.Differences {
		t.Error(d)
	}
	if r.Credited != r.Succeeded {
		t.Errorf("%d payments succeeded, %d were credited", r.Succeeded, r.Credited)
	}
	if kills < 200 {
		return // too few to have been everywhere
	}
	if len(r.NotReached) > kills/20 {
		t.Errorf("%d points were not reached in time", len(r.NotReached))
	}
	for _, p := range append(fault.SellerPoints(), fault.BuyerPoints()...) {
		if r.Points[p] < 3 {
			t.Errorf("killed at %s only %d times", p, r.Points[p])
		}
	}
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(variable)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// directory is kept, with every log and ledger, if the test fails.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgc") // not t.TempDir: sockets lie below it, and their paths are limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and ledgers are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// build makes a paygate that kills itself when it is told to.
func build(t *testing.T, dir string) string {
	t.Helper()
	program := filepath.Join(dir, "paygate")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "faults", "-o", program, "paygate/cmd/paygate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build paygate: %v\n%s", err, out)
	}
	return program
}
