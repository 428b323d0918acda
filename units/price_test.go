package units

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var cheap = Price{Msat: 25 * Sat, Per: GiB}

func TestParsePrice(t *testing.T) {
	for in, want := range map[string]Price{
		"25 sat per GiB": cheap, "25 sat/GiB": cheap, "25 sat / GiB": cheap, "25000 msat per 1 GiB": cheap,
		"2000 msat per 256 KiB": {2000, 256 * KiB}, "1 sat per 1.5 GiB": {Sat, 3 << 29}, "1 sat per .5 GiB": {Sat, GiB / 2},
		"free": {}, " Free ": {}, "0 sat per GiB": {0, GiB}, "21000000 btc per 1024 TiB": {MaxMsat, MaxPer},
	} {
		if got, err := ParsePrice(in); err != nil || got != want {
			t.Errorf("ParsePrice(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "25 sat", "25 per GiB", "25 sat per", "25 sat per 0 B", "25 sat per 1025 TiB", "-1 sat per GiB", "25 sat per furlong",
		"25 sat per GiB per GiB", "25 sat per 0", "/", "GiB/25 sat",
	} {
		if got, err := ParsePrice(in); err == nil {
			t.Errorf("ParsePrice(%q) = %+v", in, got)
		}
	}
}

func TestPriceString(t *testing.T) {
	for in, want := range map[Price]string{
		cheap: "25 sat per GiB", {}: "free", {0, GiB}: "free", {1500, 256 * KiB}: "1.500 sat per 256 KiB",
		{1, 1}: "0.001 sat per B", {Sat, 1500}: "1 sat per 1500 B", {Sat, 3 << 29}: "1 sat per 1536 MiB",
	} {
		if got := in.String(); got != want {
			t.Errorf("%+v prints as %q, want %q", in, got, want)
		}
	}
}

func TestPriceValid(t *testing.T) {
	for in, want := range map[Price]bool{
		{}: true, {0, 1}: true, {MaxMsat, MaxPer}: true, {1, 0}: false, {-1, 1}: false, {1, -1}: false,
		{MaxMsat + 1, 1}: false, {1, MaxPer + 1}: false, {0, -1}: false,
	} {
		if got := in.Valid(); got != want {
			t.Errorf("%+v: %v", in, got)
		}
	}
}

func TestCharge(t *testing.T) {
	for _, c := range []struct {
		name  string
		price Price
		bytes Bytes
		want  Msat
	}{
		{"free", Price{}, GiB, 0},
		{"nothing", cheap, 0, 0},
		{"less than nothing", cheap, -5, 0},
		{"one byte rounds up", cheap, 1, 1},
		{"exact", cheap, GiB, 25_000},
		{"one byte more", cheap, GiB + 1, 25_001},
		{"saturates", Price{MaxMsat, 1}, math.MaxInt64, MaxMsat},
		{"just fits", Price{MaxMsat, 1}, 1, MaxMsat},
		{"beyond 64 bits in between", Price{MaxMsat, MaxPer}, MaxPer, MaxMsat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.price.Charge(c.bytes); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestBuys(t *testing.T) {
	for _, c := range []struct {
		name  string
		price Price
		msat  Msat
		want  Bytes
	}{
		{"free", Price{}, 0, math.MaxInt64},
		{"nothing", cheap, 0, 0},
		{"a debt", cheap, -5, 0},
		{"a debt, free", Price{}, -5, 0},
		{"exact", cheap, 25_000, GiB},
		{"rounds down", Price{Msat: 3, Per: 2}, 4, 2},
		{"saturates", Price{Msat: 1, Per: MaxPer}, MaxMsat, math.MaxInt64},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.price.Buys(c.msat); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func drawPrice(t *rapid.T, label string) Price {
	small, size := rapid.Int64Range(1, 100), rapid.Int64Range(1, MaxPer)
	return Price{
		Msat: Msat(rapid.OneOf(small, rapid.Int64Range(1, int64(MaxMsat))).Draw(t, label+" msat")),
		Per:  Bytes(rapid.OneOf(small, size).Draw(t, label+" per")),
	}
}

var anyBytes = rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, math.MaxInt64))

// ratio is b × p, exactly.
func ratio(p Price, b Bytes) *big.Rat {
	r := big.NewRat(int64(p.Msat), int64(p.Per))
	return r.Mul(r, new(big.Rat).SetInt64(int64(b)))
}

func TestChargeAgainstBigArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrice(t, "price")
		b := Bytes(anyBytes.Draw(t, "bytes"))
		exact := ratio(p, b)
		want := new(big.Int).Quo(exact.Num(), exact.Denom())
		if !exact.IsInt() {
			want.Add(want, big.NewInt(1))
		}
		if limit := big.NewInt(int64(MaxMsat)); want.Cmp(limit) > 0 {
			want = limit
		}
		if got := p.Charge(b); want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("Charge(%d) at %+v = %d, want %s", int64(b), p, int64(got), want)
		}
	})
}

func TestBuysIsTheInverseOfCharge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrice(t, "price")
		m := Msat(rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, int64(MaxMsat)-1)).Draw(t, "msat"))
		b := p.Buys(m)
		if p.Charge(b) > m {
			t.Fatalf("%d buys %d bytes, which cost %d", m, int64(b), int64(p.Charge(b)))
		}
		if b < math.MaxInt64 && p.Charge(b+1) <= m {
			t.Fatalf("%d buys %d bytes, though %d cost no more", m, int64(b), int64(b+1))
		}
		n := Bytes(anyBytes.Draw(t, "bytes"))
		if c := p.Charge(n); c < MaxMsat && p.Buys(c) < n {
			t.Fatalf("%d bytes cost %d, which buys %d", int64(n), int64(c), int64(p.Buys(c)))
		}
	})
}

func TestChargeInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrice(t, "price")
		var total Bytes
		var sum Msat
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 0, 20).Draw(t, "parts") {
			before := p.Charge(total)
			total += Bytes(n)
			part := p.Charge(total) - before
			if part < 0 {
				t.Fatalf("%d more bytes cost %d", n, part)
			}
			sum += part
		}
		if sum != p.Charge(total) {
			t.Fatalf("the parts cost %d, the whole %d", sum, p.Charge(total))
		}
	})
}

func TestCompareAgainstBigArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, o := drawPrice(t, "p"), drawPrice(t, "o")
		if rapid.Bool().Draw(t, "same ratio") {
			k := rapid.Int64Range(1, 8).Draw(t, "factor")
			o = Price{Msat: p.Msat * Msat(k), Per: p.Per * Bytes(k)}
			if !o.Valid() {
				t.Skip("out of range")
			}
		}
		want := ratio(p, 1).Cmp(ratio(o, 1))
		if got := p.Compare(o); got != want {
			t.Fatalf("%+v against %+v: %d, want %d", p, o, got, want)
		}
		if p.Compare(o) != -o.Compare(p) {
			t.Fatalf("%+v and %+v disagree about their order", p, o)
		}
	})
}

func TestCompareWithFree(t *testing.T) {
	for _, free := range []Price{{}, {0, GiB}} {
		for _, other := range []Price{{}, {0, 1}} {
			if free.Compare(other) != 0 {
				t.Errorf("%+v differs from %+v", free, other)
			}
		}
		if free.Compare(cheap) != -1 || cheap.Compare(free) != 1 {
			t.Errorf("%+v is not below %+v", free, cheap)
		}
	}
}

func TestPriceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrice(t, "price")
		if got, err := ParsePrice(p.String()); err != nil || got != p {
			t.Fatalf("%q reads as %+v, %v; want %+v", p.String(), got, err, p)
		}
	})
}
