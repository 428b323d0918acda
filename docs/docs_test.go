// Package docs holds nothing but the documentation; its tests keep the documentation true.
package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestProtocolPageCarriesTheVectors(t *testing.T) {
	page, err := os.ReadFile("protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := os.ReadFile("../proxy/wire/testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```text\n"+strings.TrimRight(string(vectors), "\n")+"\n```") {
		t.Error("docs/protocol.md does not carry proxy/wire/testdata/vectors.txt as it stands")
	}
}

func TestLedgerPageExplainsEveryKind(t *testing.T) {
	page, err := os.ReadFile("ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../ledger/journal.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`\tKind\w+ += "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) < 10 {
		t.Fatalf("only %d kinds were found", len(kinds))
	}
	for _, k := range kinds {
		if !strings.Contains(string(page), "\n| `"+k[1]+"` |") {
			t.Errorf("docs/ledger.md does not explain %q", k[1])
		}
	}
}
