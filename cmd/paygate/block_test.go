package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"paygate/ledger"
)

// TestBlockWithoutARunningPaygate goes through the command line, in a data directory that has never been used.
func TestBlockWithoutARunningPaygate(t *testing.T) {
	dir := t.TempDir()
	v1, v2 := strings.Repeat("ab", 20), strings.Repeat("cd", 32)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"block " + v1 + " --reason notice-7", 0, v1 + ": blocked\n"},
		{"block " + v2, 0, v2[:40] + ": blocked\n"},
		{"block " + v1 + " --reason other", 0, v1 + " was blocked already\n"},
		{"block", 0, `"reason":"notice-7"`},
		{"unblock " + v2, 0, v2[:40] + ": not blocked any more\n"},
		{"unblock " + v2, 0, v2[:40] + " was not blocked\n"},
		{"block abc", exitConfiguration, "40 hexadecimal digits"},
		{"unblock", exitConfiguration, "unblock --help"},
	} {
		var out, errs bytes.Buffer
		code := execute(t.Context(), append(strings.Fields(c.args), "--data-dir", dir), &out, &errs)
		if code != c.code || !strings.Contains(out.String()+errs.String(), c.want) {
			t.Errorf("paygate %s: %d\n%s%s", c.args, code, &out, &errs)
		}
	}
	l, err := ledger.Open(t.Context(), filepath.Join(dir, ledgerFile), ledger.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if list, err := l.Blocks(t.Context()); err != nil || len(list) != 1 || list[0].Reason != "notice-7" {
		t.Errorf("%v, %v", list, err)
	}
	if err := l.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
