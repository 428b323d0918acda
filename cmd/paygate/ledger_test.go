package main

import (
	"database/sql"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/ledger"
	"paygate/test/process"
)

func TestLedgerBackupVerifyRestore(t *testing.T) {
	dir := configDir(t)
	path := testLedger(t, dir)
	states := len(purchasesOf(t, path))
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // parts of what is said
	}{
		{[]string{"verify"}, 0, "ledger.sqlite is sound: 14 journal entries explain every sum\n", ""},
		{[]string{"backup", "b.sqlite"}, 0, "b.sqlite is sound: 14 journal entries explain every sum\n", ""},
		{[]string{"backup", "b.sqlite"}, 1, "", "file exists"},
		{[]string{"verify", "b.sqlite"}, 0, "b.sqlite is sound", ""},
		{[]string{"verify", "paygate.yaml"}, 1, "", "check data_dir, and the name of the file"},
		{[]string{"restore", "b.sqlite", "--data-dir", "data"}, 0, "b.sqlite is in the place of data/ledger.sqlite\nthe ledger that was there is kept as ledger.sqlite.replaced.", ""},
		{[]string{"verify"}, 0, "ledger.sqlite is sound", ""},
		{[]string{"restore", "paygate.yaml"}, 1, "", "check data_dir, and the name of the file"},
		{[]string{"restore"}, 2, "", "accepts 1 arg(s), received 0"},
		{[]string{"export", "json"}, 2, "", `invalid argument "json"`},
	} {
		got := runIn(t, dir, append([]string{"ledger"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) || (c.stderr == "") != (got.stderr == "") {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
	if now := len(purchasesOf(t, path)); now != states {
		t.Errorf("%d purchases were restored, want %d", now, states)
	}
	kept, err := filepath.Glob(path + ".replaced.*Z")
	if err != nil || len(kept) != 1 || len(purchasesOf(t, kept[0])) != states {
		t.Errorf("kept %q, %v", kept, err)
	}
}

func TestLedgerRestoreWaitsForRun(t *testing.T) {
	dir := configDir(t)
	testLedger(t, dir)
	lock, err := openDataDir(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	runOK(t, dir, "ledger", "backup", "b.sqlite")
	got := runIn(t, dir, "ledger", "restore", "b.sqlite")
	if got.code != exitFailure || got.stdout != "" || !strings.Contains(got.stderr, "is in use by another paygate") {
		t.Errorf("%+v", got)
	}
}

func TestLedgerVerifyShowsEveryDifference(t *testing.T) {
	dir := configDir(t)
	path := testLedger(t, dir)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("UPDATE purchases SET state = 'failed' WHERE state = 'unknown'; UPDATE spent SET fees = 0")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	got := runIn(t, dir, "ledger", "verify")
	if got.code != exitFailure {
		t.Errorf("exit status %d", got.code)
	}
	golden(t, "ledger-verify.txt", got.stdout+"----\n"+got.stderr, path, "LEDGER")
}

func TestLedgerExport(t *testing.T) {
	dir := configDir(t)
	testLedger(t, dir)
	text := runOK(t, dir, "ledger", "export", "csv")
	golden(t, "journal.csv", text)
	if got := runOK(t, dir, "ledger", "export", "csv", "--out", "j.csv"); got != "" {
		t.Errorf("said %q", got)
	}
	file, err := os.ReadFile(filepath.Join(dir, "j.csv"))
	if err != nil || string(file) != text {
		t.Errorf("the file differs, %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "j.csv")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got := runIn(t, dir, "ledger", "export", "csv", "--out", "j.csv"); got.code != exitFailure || !strings.Contains(got.stderr, "file exists") {
		t.Errorf("over a file: %+v", got)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 15 || strings.Count(text, "\r\n") != 15 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestExportTellsOfOldUsageInSums has many entries of one day that have become one.
func TestExportTellsOfOldUsageInSums(t *testing.T) {
	dir := configDir(t)
	path := testLedger(t, dir)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l, err := ledger.Open(t.Context(), path, ledger.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	const more = 100
	for range more {
		err = errors.Join(err, l.Receive(t.Context(), ledger.Receipt{Seller: testIntent(2).Seller, Price: testIntent(2).Price, Bytes: 10}))
	}
	before := runOK(t, dir, "ledger", "export", "csv")
	now = now.AddDate(50, 0, 0)
	_, compacting := l.Compact(t.Context(), 24*time.Hour)
	if err := errors.Join(err, compacting, l.Close()); err != nil {
		t.Fatal(err)
	}
	after := runOK(t, dir, "ledger", "export", "csv")
	if n, was := strings.Count(after, "\r\n"), strings.Count(before, "\r\n"); was != 15+more || n > 16 {
		t.Errorf("%d lines before, %d after", was, n)
	}
	if line := strings.Split(after, "\r\n")[2]; !strings.HasPrefix(line, "0,2026-01-02T00:00:00.000Z,received,") || !strings.HasSuffix(line, ",1000,0,,100") {
		t.Errorf("the sum is %q", line)
	}
	if said := runOK(t, dir, "ledger", "verify"); !strings.Contains(said, "114 journal entries explain every sum") {
		t.Errorf("verify said %q", said)
	}
}

// TestRunRefusesALedgerThatItCannotWrite starts paygate on a data directory that its user cannot write to.
func TestRunRefusesALedgerThatItCannotWrite(t *testing.T) {
	for name, spoil := range map[string]func(data string) error{
		"new directory": func(data string) error { return errors.Join(os.Mkdir(data, 0o500)) },
		"used directory": func(data string) error {
			if err := os.WriteFile(filepath.Join(data, "lock"), nil, 0o600); err != nil {
				return err
			}
			return os.Chmod(data, 0o500)
		},
		"used file": func(data string) error { return os.Chmod(filepath.Join(data, ledgerFile), 0o400) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := configDir(t)
			data := filepath.Join(dir, "data")
			if name != "new directory" {
				testLedger(t, dir)
			}
			if err := spoil(data); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(data, 0o700) })
			writeFile(t, filepath.Join(dir, "free.yaml"), "data_dir: data\nlisten: {socks5: 127.0.0.1:1}\nclient: {address: 127.0.0.1:6881}\n")
			c := command(t.Context(), dir, "run", "-c", "free.yaml")
			var stderr strings.Builder
			c.Stderr = &stderr
			if err := process.Unprivileged(c.Start); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait()
			if c.ProcessState.ExitCode() != exitFailure || !strings.Contains(stderr.String(), "let paygate's user write to data_dir") &&
				!strings.Contains(stderr.String(), "data/lock: permission denied") {
				t.Errorf("exit status %d, said %q", c.ProcessState.ExitCode(), stderr.String())
			}
		})
	}
}
