package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFailedTestsAreRepeatedAtTheEnd(t *testing.T) {
	in := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: the reason\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: no root\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestC"}
`
	var out bytes.Buffer
	tl := newTally(&out, false)
	if err := tl.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	notes, failures := filepath.Join(dir, "notes"), filepath.Join(dir, "failures")
	if err := tl.end("unit", notes, failures); err == nil {
		t.Error("a failed test is no error")
	}
	for path, want := range map[string]string{
		notes:    "p TestB: no root\n",
		failures: "FAIL  p TestA\n      a_test.go:7: the reason\n",
	} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", filepath.Base(path), got, err, want)
		}
	}
	if !strings.Contains(out.String(), "unit: 1 passed, 1 failed, 1 skipped") {
		t.Errorf("the last line is not in %q", out.String())
	}
}
