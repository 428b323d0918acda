package units

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIdentitiesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 33, 33).Draw(t, "bytes")
		ih, hash, peer, node := InfoHash(b[:20]), PaymentHash(b[:32]), PeerKey(b[:32]), NodeKey(b)
		check := func(same bool, err error, what string) {
			if !same || err != nil {
				t.Fatalf("%s does not come back: %v", what, err)
			}
		}
		i, err := ParseInfoHash(ih.String())
		check(i == ih, err, "info-hash")
		h, err := ParsePaymentHash(" " + strings.ToUpper(hash.String()) + "\n")
		check(h == hash, err, "payment hash")
		p, err := ParsePeerKey(peer.String())
		check(p == peer && p.IsZero() == (strings.Trim(peer.String(), "0") == ""), err, "peer key")
		n, err := ParseNodeKey(node.String())
		check(n == node && n.IsZero() == (strings.Trim(node.String(), "0") == ""), err, "node key")
	})
}

func TestParseIdentityRefuses(t *testing.T) {
	parsers := map[string]func(string) error{
		"info-hash":    func(s string) error { _, err := ParseInfoHash(s); return err },
		"payment hash": func(s string) error { _, err := ParsePaymentHash(s); return err },
		"peer key":     func(s string) error { _, err := ParsePeerKey(s); return err },
		"node key":     func(s string) error { _, err := ParseNodeKey(s); return err },
	}
	digits := map[string]int{"info-hash": 40, "payment hash": 64, "peer key": 64, "node key": 66}
	for what, parse := range parsers {
		n := digits[what]
		for name, in := range map[string]string{
			"empty": "", "short": strings.Repeat("a", n-2), "long": strings.Repeat("a", n+2), "odd": strings.Repeat("a", n-1),
			"not hexadecimal": strings.Repeat("g", n),
		} {
			if err := parse(in); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
	}
}

// TestSecretsNeverPrint prints secrets in every way that a log might.
func TestSecretsNeverPrint(t *testing.T) {
	pre := Preimage{0xab, 0xcd, 0xef}
	inside := struct {
		S Secret
		P Preimage
		L []Secret
		M map[string]Preimage
	}{"hunter2", pre, []Secret{"hunter2"}, map[string]Preimage{"k": pre}}
	var out []string
	for _, v := range []any{Secret("hunter2"), pre, &pre, inside, &inside} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%t", "% x"} {
			out = append(out, fmt.Sprintf(verb, v))
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	for _, s := range out {
		for _, leak := range []string{"hunter2", "68756e74657232", "68 75 6e", "abcdef", "171", "ABCDEF", "253", "10101011"} {
			if strings.Contains(strings.ToLower(s), strings.ToLower(leak)) {
				t.Errorf("%q leaks", s)
			}
		}
	}
	if Secret("hunter2").Reveal() != "hunter2" || !strings.HasPrefix(pre.Hex(), "abcdef") {
		t.Error("the deliberate ways are broken")
	}
}
