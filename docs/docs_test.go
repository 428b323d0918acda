// Package docs holds nothing but the documentation; its tests keep the documentation true.
package docs

import (
	"os"
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
