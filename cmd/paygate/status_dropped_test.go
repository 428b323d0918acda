package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"paygate/admin"
	"paygate/policy"
	"paygate/units"
)

func TestDroppedSellersAreShown(t *testing.T) {
	st := sampleStatus()
	for i := range 12 {
		st.Dropped = append(st.Dropped, admin.Dropped{
			Seller: strings.Repeat(string(rune('a'+i)), 64), InfoHash: "0123456789abcdef0123456789abcdef01234567",
			Reason: "the client asks others for its pieces", Times: 2, Until: time.Now().Add(time.Hour), Held: 7 * units.Sat,
		})
	}
	var b bytes.Buffer
	printStatus(&b, st, nil)
	for _, words := range []string{"12 sellers dropped for bad data", strings.Repeat("j", 64), "the client asks others for its pieces", "7 sat"} {
		if !strings.Contains(b.String(), words) {
			t.Errorf("%q is missing from\n%s", words, b.String())
		}
	}
	if strings.Contains(b.String(), strings.Repeat("k", 64)) {
		t.Error("more than ten are shown")
	}
}

func TestExplanationTellsWhyNothingIsBoughtNow(t *testing.T) {
	for _, why := range []string{
		policy.WhyDropped, policy.WhyStrangers, policy.WhyLosses, policy.WhySellers, policy.WhyUnresolved, policy.WhyOverBudget, "lightning-down",
	} {
		var b bytes.Buffer
		printExplanation(&b, admin.Explanation{Buy: admin.Verdict{Decision: "bought", Rule: "all"}, NotNow: why})
		if !strings.Contains(b.String(), "Nothing is bought of it at the moment: "+notNowText(why)+".") {
			t.Errorf("%s: %s", why, b.String())
		}
	}
	var b bytes.Buffer
	printExplanation(&b, admin.Explanation{Buy: admin.Verdict{Decision: "bought", Rule: "all"}})
	if strings.Contains(b.String(), "at the moment") {
		t.Error(b.String())
	}
}
