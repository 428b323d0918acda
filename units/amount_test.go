package units

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMsat(t *testing.T) {
	for in, want := range map[string]Msat{
		"0": 0, "0.0": 0, "0 sat": 0, "1 msat": 1, "25 sat": 25_000, "25sat": 25_000, " 25  sats ": 25_000, "1.5 sat": 1500,
		"0.001 sat": 1, ".5 sat": 500, "5. sat": 5000, "1_000 sat": 1_000_000, "0.001 btc": 100_000_000, "1 BTC": BTC,
		"0.00000000001 btc": 1, "0.000000000010000 btc": 1, "21000000 btc": MaxMsat, "00000000000000000000000007 msat": 7,
	} {
		if got, err := ParseMsat(in); err != nil || got != want {
			t.Errorf("ParseMsat(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for name, in := range map[string]string{
		"nothing": "", "no number": "sat", "no unit": "5", "zero without digits": ".", "only underscores": "_",
		"an unknown unit": "5 eur", "zero of an unknown unit": "0 eur", "negative": "-1 sat", "two points": "1.2.3 sat",
		"two zero points": "0..0", "a fraction of a millisatoshi": "0.0001 sat", "half a millisatoshi": "1.5 msat",
		"more than all bitcoin": "21000000.00000000001 btc", "out of range": "9223372036854775808 msat",
		"far out of range": "99999999999999999999 btc", "too fine": "0.0000000000001 btc", "not decimal": "0x10 sat",
		"an exponent": "1e3 sat", "other digits": "٣ sat", "infinite": "inf sat", "a point alone": ". sat",
	} {
		if got, err := ParseMsat(in); err == nil {
			t.Errorf("%s: ParseMsat(%q) = %d", name, in, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]Bytes{
		"0": 0, "1 B": 1, "1 byte": 1, "2 bytes": 2, "1 KiB": 1024, "1.5 GiB": 3 << 29, "64MiB": 64 << 20, "500 kB": 500_000,
		"2 mb": 2_000_000, "1 tb": 1_000_000_000_000, "3 TiB": 3 << 40, "8388607 TiB": 8388607 << 40,
	} {
		if got, err := ParseBytes(in); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "5", "GiB", "-1 GiB", "0.5 B", "8388608 TiB", "1 PiB", "1 GiB/s"} {
		if got, err := ParseBytes(in); err == nil {
			t.Errorf("ParseBytes(%q) = %d", in, got)
		}
	}
}

func TestMsatString(t *testing.T) {
	for in, want := range map[Msat]string{
		0: "0 sat", 1: "0.001 sat", 1000: "1 sat", 12_345: "12.345 sat", -1500: "-1.500 sat", -2000: "-2 sat",
		MaxMsat: "2100000000000000 sat", math.MinInt64: "-9223372036854775.808 sat", math.MaxInt64: "9223372036854775.807 sat",
	} {
		if got := in.String(); got != want {
			t.Errorf("%d prints as %q, want %q", int64(in), got, want)
		}
	}
}

func TestBytesString(t *testing.T) {
	for in, want := range map[Bytes]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 10 * KiB: "10 KiB", 100 * MiB: "100 MiB",
		GiB + GiB/4: "1.25 GiB", MiB - 1: "1024 KiB", 3 * TiB: "3 TiB", -5: "-5 B", -MiB: "-1 MiB",
		math.MaxInt64: "8388608 TiB", math.MinInt64: "-8388608 TiB",
	} {
		if got := in.String(); got != want {
			t.Errorf("%d prints as %q, want %q", int64(in), got, want)
		}
	}
}

func TestMsatRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Msat(rapid.Int64Range(0, int64(MaxMsat)).Draw(t, "msat"))
		if got, err := ParseMsat(m.String()); err != nil || got != m {
			t.Fatalf("%q reads as %d, %v; want %d", m.String(), got, err, m)
		}
	})
}

func TestWholeSizesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]Bytes{1, KiB, MiB, GiB, TiB}).Draw(t, "unit")
		b := unit * Bytes(rapid.Int64Range(0, 1023).Draw(t, "number"))
		if got, err := ParseBytes(b.String()); err != nil || got != b {
			t.Fatalf("%q reads as %d, %v; want %d", b.String(), got, err, b)
		}
	})
}

// FuzzParseAmounts checks that what is taken is in range and prints as something that reads the same.
func FuzzParseAmounts(f *testing.F) {
	for _, s := range []string{"", "0", ".", "25 sat", "1.5 GiB", "0.00000000001 btc", "25 sat per GiB", "1 msat/1.5 KiB", "free", "99999999999999999999 tib"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMsat(s); err == nil {
			if again, err := ParseMsat(m.String()); err != nil || again != m || m < 0 || m > MaxMsat {
				t.Fatalf("%q reads as %d, which prints as %s and reads as %d, %v", s, int64(m), m, int64(again), err)
			}
			if !strings.ContainsAny(s, "0123456789") {
				t.Fatalf("%q has no digit", s)
			}
		}
		if b, err := ParseBytes(s); err == nil && b < 0 {
			t.Fatalf("%q reads as %d", s, int64(b))
		}
		if p, err := ParsePrice(s); err == nil {
			again, err := ParsePrice(p.String())
			if err != nil || !p.Valid() || again.Compare(p) != 0 || again.Free() != p.Free() {
				t.Fatalf("%q reads as %+v, which prints as %s and reads as %+v, %v", s, p, p, again, err)
			}
		}
	})
}
