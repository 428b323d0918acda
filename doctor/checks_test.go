package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paygate/config"
	"paygate/lnclient"
	"paygate/units"
)

func TestConfiguration(t *testing.T) {
	problem := config.Problem{File: "p.yaml", Line: 3, Column: 5, Path: "buy.max", Message: "is too much", Remedy: "lower it"}
	note := problem
	note.Note = true
	bare := problem
	bare.Remedy = ""
	for _, tt := range []struct {
		name string
		c    *config.Config
		err  error
		want []Finding
	}{
		{"valid", &config.Config{}, nil, []Finding{{CheckConfiguration, Pass, "p.yaml is valid", "", ""}}},
		{"noted", &config.Config{Notes: config.Problems{note}}, nil, []Finding{
			{CheckConfiguration, Pass, "p.yaml is valid", "", ""},
			{CheckConfiguration, Warn, "p.yaml:3:5: buy.max: is too much", "lower it", ""},
		}},
		{"not valid", nil, config.Problems{problem, note, bare}, []Finding{
			{CheckConfiguration, Fail, "p.yaml:3:5: buy.max: is too much", "lower it", ""},
			{CheckConfiguration, Warn, "p.yaml:3:5: buy.max: is too much", "lower it", ""},
			{CheckConfiguration, Fail, "p.yaml:3:5: buy.max: is too much", "correct the line", ""},
		}},
		{"missing", nil, fmt.Errorf("read: %w", fs.ErrNotExist), []Finding{
			{CheckConfiguration, Fail, "p.yaml does not exist", "start from config.example.yaml, or name your file with -c", ""},
		}},
		{"unreadable", nil, errTest, []Finding{{CheckConfiguration, Fail, "no such thing", "make it a readable file", ""}}},
	} {
		if got := Configuration("p.yaml", tt.c, tt.err); fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDataDir(t *testing.T) {
	dir := t.TempDir()
	file, open, closed := filepath.Join(dir, "file"), filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Mkdir(open, 0o700))
	must(t, os.Chmod(open, 0o750)) //nolint:gosec // this is the test
	must(t, os.Mkdir(closed, 0o700))
	is(t, "closed", dataDir(closed), Pass, closed+" can be written to, and only by you")
	is(t, "open", dataDir(open), Warn, "other users can look into "+open+" (mode 0750)")
	is(t, "file", dataDir(file), Fail, file+" is not a directory")
	is(t, "below a file", dataDir(file+"/x"), Fail, "cannot look at "+file+"/x: not a directory")
	is(t, "missing", dataDir(closed+"/a/b"), Pass, closed+"/a/b does not exist yet; paygate will make it")
	for _, d := range []string{open, closed} {
		if left, err := os.ReadDir(d); err != nil || len(left) != 0 {
			t.Errorf("left %v, %v in %s", left, err, d)
		}
	}
}

func TestDisk(t *testing.T) {
	is(t, "unknown", disk("/d", 0, errTest), Skip, "the free space at /d cannot be told: no such thing")
	is(t, "full", disk("/d", diskFail/2, nil), Fail, "only 32 MiB free at /d")
	is(t, "nearly full", disk("/d", diskFail, nil), Warn, "64 MiB free at /d")
	is(t, "still nearly full", disk("/d", diskWarn-1, nil), Warn, (diskWarn-1).String()+" free at /d")
	is(t, "fine", disk("/d", diskWarn, nil), Pass, "1 GiB free at /d")
}

func TestSecrets(t *testing.T) {
	for _, tt := range []struct {
		name           string
		dir            os.FileMode
		identity, book os.FileMode // 0: there is none
		v              Verdict
		text           string
	}{
		{"none yet", 0o755, 0, 0, Pass, "none yet; paygate makes them at its first start"},
		{"closed", 0o700, 0o600, 0o600, Pass, "identity.key and ledger.sqlite can be read by you alone"},
		{"closed files in an open directory", 0o755, 0o600, 0o600, Pass, "identity.key and ledger.sqlite can be read by you alone"},
		{"open files in a closed directory", 0o700, 0o644, 0o644, Pass, "identity.key and ledger.sqlite can be read by you alone"},
		{"open key", 0o755, 0o640, 0o600, Fail, "other users can read DIR/identity.key (mode 0640)"},
		{"open ledger", 0o755, 0, 0o604, Fail, "other users can read DIR/ledger.sqlite (mode 0604)"},
	} {
		dir := t.TempDir()
		for name, mode := range map[string]os.FileMode{"identity.key": tt.identity, "ledger.sqlite": tt.book} {
			if mode != 0 {
				must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
				must(t, os.Chmod(filepath.Join(dir, name), mode))
			}
		}
		must(t, os.Chmod(dir, tt.dir))
		is(t, tt.name, secrets(dir), tt.v, replace(tt.text, dir))
	}
	is(t, "no directory", secrets("/nonexistent"), Pass, "none yet; paygate makes them at its first start")
}

func TestOpenFiles(t *testing.T) {
	is(t, "unknown", files(0, errTest, 10), Skip, "the limit cannot be told: no such thing")
	is(t, "too low", files(4099, nil, 2000), Fail, "the limit is 4099, and limits.connections, 2000, needs 4100")
	is(t, "low", files(4100, nil, 2000), Warn, "the limit is 4100; 2000 connections at full speed use up to 12100")
	is(t, "still low", files(12_099, nil, 2000), Warn, "the limit is 12099; 2000 connections at full speed use up to 12100")
	is(t, "enough", files(12_100, nil, 2000), Pass, "the limit is 12100, enough for 2000 connections")
	is(t, "endless", files(1<<64-1, nil, 100_000), Pass, "the limit is 18446744073709551615, enough for 100000 connections")
}

func TestThisMachineAnswers(t *testing.T) {
	m := ThisMachine()
	if free, err := m.Free(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("free %s, %v", free, err)
	}
	if _, err := m.Free("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("free of nothing: %v", err)
	}
	if n, err := m.Files(); err != nil || n == 0 {
		t.Errorf("%d files, %v", n, err)
	}
	if own, err := m.Addresses(); err != nil || len(own) == 0 {
		t.Errorf("addresses %v, %v", own, err)
	}
}

func TestNodeProblem(t *testing.T) {
	problem := func(k lnclient.ProblemKind) error {
		return fmt.Errorf("ask: %w", &lnclient.Problem{Kind: k, Remedy: "mend it", Err: errTest})
	}
	for kind, text := range map[lnclient.ProblemKind]string{
		lnclient.Unreachable: "lnd at h:1 does not answer",
		lnclient.Locked:      "lnd at h:1 waits for the password of its wallet",
		lnclient.NoWallet:    "lnd at h:1 has no wallet",
		lnclient.Starting:    "lnd at h:1 is starting",
		lnclient.Unsynced:    "lnd at h:1 has not caught up with the chain",
		lnclient.Denied:      "lnd at h:1 answers, but the macaroon does not allow to ask who it is",
		lnclient.BadMacaroon: "lnd at h:1 does not accept the macaroon: it is another node's, or has expired",
		lnclient.BadCert:     "lnd at h:1 shows another certificate than lightning.tls_cert",
		lnclient.Other:       "lnd at h:1: ask: no such thing",
	} {
		f := NodeProblem("h:1", problem(kind))
		is(t, kind.String(), f, Fail, text)
		if f.Remedy != "mend it" {
			t.Errorf("%s: remedy %q", kind, f.Remedy)
		}
	}
	is(t, "another error", NodeProblem("h:1", errTest), Fail, "lnd at h:1: no such thing")
}

func TestVersion(t *testing.T) {
	for _, tt := range []struct {
		in   string
		v    Verdict
		text string
	}{
		{"0.17.5-beta commit=v0.17.5-beta", Fail, "lnd 0.17 is too old: paygate needs 0.18"},
		{"0.18.0-beta", Warn, "lnd 0.18 has not been tested with paygate; 0.21 has"},
		{"v0.20.1-beta", Warn, "lnd 0.20 has not been tested with paygate; 0.21 has"},
		{"0.21.0-beta commit=v0.21.0-beta", Pass, "lnd 0.21"},
		{"0.22.0-beta.rc1", Pass, "lnd 0.22"},
		{"1.0.0", Pass, "lnd 1.0"},
		{"nightly", Warn, `"nightly" is no version of lnd that is known here`},
		{"", Warn, `"" is no version of lnd that is known here`},
		{"99999999999999999999.1", Warn, `"99999999999999999999.1" is no version of lnd that is known here`},
	} {
		is(t, tt.in, version(tt.in), tt.v, tt.text)
	}
}

func TestNetwork(t *testing.T) {
	is(t, "same", network("signet", "signet"), Pass, "signet, as configured")
	is(t, "another", network("mainnet", "signet"), Fail, "the node is on mainnet, and lightning.network is signet")
}

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name    string
		header  time.Time
		network string
		v       Verdict
		text    string
	}{
		{"in step", noon.Add(-10 * time.Minute), "mainnet", Pass, "in step with the chain's newest block, from 2026-03-04 11:50 UTC, within 4h0m0s"},
		{"a block from the future", noon.Add(2 * time.Hour), "mainnet", Pass, "in step with the chain's newest block, from 2026-03-04 14:00 UTC, within 4h0m0s"},
		{"behind", noon.Add(26 * time.Hour), "mainnet", Fail, "it is at least 24h0m0s behind: the chain's newest block is from 2026-03-05 14:00 UTC"},
		{"behind on regtest", noon.Add(3 * time.Hour), "regtest", Fail, "it is at least 1h0m0s behind: the chain's newest block is from 2026-03-04 15:00 UTC"},
		{"slow block", noon.Add(-4 * time.Hour), "mainnet", Pass, "in step with the chain's newest block, from 2026-03-04 08:00 UTC, within 4h0m0s"},
		{"ahead", noon.Add(-5 * time.Hour), "mainnet", Warn, "it is 5h0m0s ahead of the chain's newest block, from 2026-03-04 07:00 UTC"},
		{"old block on regtest", noon.Add(-5 * time.Hour), "regtest", Skip, "the newest block is from 2026-03-04 07:00 UTC, which says nothing on regtest"},
		{"none told", time.Unix(0, 0), "mainnet", Skip, "the node does not tell the time of its newest block"},
	} {
		is(t, tt.name, clock(noon, tt.header, tt.network), tt.v, tt.text)
	}
}

func TestInbound(t *testing.T) {
	const least, most = 10 * units.Sat, 1000 * units.Sat
	open := func(in, largest units.Msat) lnclient.Liquidity {
		return lnclient.Liquidity{Channels: 2, Active: 1, In: in, LargestIn: largest}
	}
	is(t, "none", inbound(lnclient.Liquidity{}, least, most), Fail, "the node has no channel")
	is(t, "being opened", inbound(lnclient.Liquidity{PendingIn: 1}, least, most), Fail, "the node's first channel is still being opened")
	is(t, "asleep", inbound(lnclient.Liquidity{Channels: 3}, least, most), Fail, "none of the node's channels is active (3)")
	is(t, "empty", inbound(open(20*units.Sat, least-1), least, most), Fail, "the node can receive 9.999 sat at once, less than the smallest purchase, 10 sat: nobody can pay")
	is(t, "low", inbound(open(5000*units.Sat, most-1), least, most), Warn, "the node can receive 999.999 sat at once, less than the largest purchase, 1000 sat")
	is(t, "fine", inbound(open(5000*units.Sat, most), least, most), Pass, "the node can receive 5000 sat; the largest purchase is 1000 sat")
}

func TestOutbound(t *testing.T) {
	b := buying().Buy
	open := func(out, largest units.Msat) lnclient.Liquidity {
		return lnclient.Liquidity{Channels: 2, Active: 2, Out: out, LargestOut: largest}
	}
	is(t, "none", outbound(lnclient.Liquidity{}, b, 1), Fail, "the node has no channel")
	is(t, "being opened", outbound(lnclient.Liquidity{PendingOut: 1}, b, 1), Fail, "the node's first channel is still being opened")
	is(t, "asleep", outbound(lnclient.Liquidity{Channels: 1}, b, 1), Fail, "none of the node's channels is active (1)")
	is(t, "empty", outbound(open(18*units.Sat, 9*units.Sat), b, 1), Fail, "the node can send 9 sat at once, less than the smallest purchase, 10 sat: nothing can be bought")
	is(t, "empty, but in parts", outbound(open(18*units.Sat, 9*units.Sat), b, 2), Warn, "the node can send 18 sat at once, less than the largest purchase, 500 sat")
	is(t, "low", outbound(open(900*units.Sat, 499*units.Sat), b, 1), Warn, "the node can send 499 sat at once, less than the largest purchase, 500 sat")
	is(t, "low, but in parts", outbound(open(900*units.Sat, 499*units.Sat), b, 2), Pass, "the node can send 900 sat; at most 800 sat is spent in a day")
	is(t, "less than a day", outbound(open(799*units.Sat, 500*units.Sat), b, 1), Warn, "the node can send 799 sat, less than may be spent in a day, 800 sat")
	is(t, "fine", outbound(open(800*units.Sat, 500*units.Sat), b, 1), Pass, "the node can send 800 sat; at most 800 sat is spent in a day")
	b.PerDay = 0
	is(t, "nothing to spend", outbound(lnclient.Liquidity{}, b, 1), Skip, "the caps allow no purchase")
}

func TestBoundsOfAllRules(t *testing.T) {
	c := selling()
	c.Sell.Rules = append(c.Sell.Rules,
		config.SellRule{Price: units.Price{Msat: 1, Per: 1}, Min: 5 * units.Sat, Max: 50 * units.Sat},
		config.SellRule{Min: 1, Max: 5000 * units.Sat}, // free
	)
	if least, most, ok := saleBounds(c); least != 5*units.Sat || most != 1000*units.Sat || !ok {
		t.Errorf("%s to %s, %t", least, most, ok)
	}
	if fmt.Sprint(moneyChecks(selling())) != "[inbound]" || fmt.Sprint(moneyChecks(buying())) != "[outbound]" || moneyChecks(&config.Config{}) != nil {
		t.Error("other checks than the rules call for")
	}
}
