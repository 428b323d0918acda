package units

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// Price is an exact price: Msat millisatoshi for every Per bytes. The zero Price is "free"; it charges nothing
// and buys without limit. A valid price has Msat ≥ 0 and Per > 0 (or is the zero Price).
type Price struct {
	Msat Msat
	Per  Bytes
}

// MaxPer bounds the byte count of a price, so that products stay far inside 128 bits.
const MaxPer = 1 << 50

// ParsePrice reads a price such as "25 sat per GiB", "25 sat/GiB", "2000 msat per 256 KiB" or "free".
func ParsePrice(s string) (Price, error) {
	if strings.EqualFold(strings.TrimSpace(s), "free") {
		return Price{}, nil
	}
	amount, per, ok := strings.Cut(s, " per ")
	if !ok {
		amount, per, ok = strings.Cut(s, "/")
	}
	if !ok {
		return Price{}, fmt.Errorf(`%q is not a price: write it as "25 sat per GiB"`, s)
	}
	m, err := ParseMsat(amount)
	if err != nil {
		return Price{}, fmt.Errorf("price %q: %w", s, err)
	}
	per = strings.TrimSpace(per)
	if per != "" && per[0] != '.' && (per[0] < '0' || per[0] > '9') {
		per = "1 " + per
	}
	b, err := ParseBytes(per)
	if err != nil {
		return Price{}, fmt.Errorf("price %q: %w", s, err)
	}
	p := Price{Msat: m, Per: b}
	if !p.Valid() {
		return Price{}, fmt.Errorf("price %q: the size must be between 1 B and 1024 TiB", s)
	}
	return p, nil
}

// Valid reports whether the price can be charged: a non-negative amount for 1 to MaxPer bytes, or the zero Price.
func (p Price) Valid() bool {
	return p == Price{} || (p.Msat >= 0 && p.Msat <= MaxMsat && p.Per > 0 && p.Per <= MaxPer)
}

// Free reports whether nothing is ever charged at this price.
func (p Price) Free() bool { return p.Msat == 0 }

// Charge returns what b bytes cost in all: ceil(b × Msat / Per). Call it on cumulative totals and take differences,
// never once per block, so that rounding happens only once. It saturates at MaxMsat. Negative b costs nothing.
func (p Price) Charge(b Bytes) Msat {
	if b <= 0 || p.Free() {
		return 0
	}
	hi, lo := bits.Mul64(uint64(b), uint64(p.Msat))
	lo, carry := bits.Add64(lo, uint64(p.Per)-1, 0)
	hi += carry
	if hi >= uint64(p.Per) {
		return MaxMsat
	}
	q, _ := bits.Div64(hi, lo, uint64(p.Per))
	return Msat(min(q, uint64(MaxMsat)))
}

// Buys returns how many bytes m, which is below MaxMsat, pays for in all: the largest b with Charge(b) ≤ m, saturating
// at math.MaxInt64.
func (p Price) Buys(m Msat) Bytes {
	if m < 0 {
		return 0
	}
	if p.Free() {
		return math.MaxInt64
	}
	hi, lo := bits.Mul64(uint64(m), uint64(p.Per))
	if hi >= uint64(p.Msat) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(p.Msat))
	return Bytes(min(q, math.MaxInt64))
}

// Compare orders two prices by what a byte costs: negative when p is cheaper than o.
func (p Price) Compare(o Price) int {
	ph, pl := bits.Mul64(uint64(p.Msat), uint64(max(o.Per, 1)))
	oh, ol := bits.Mul64(uint64(o.Msat), uint64(max(p.Per, 1)))
	switch {
	case ph == oh && pl == ol:
		return 0
	case ph < oh || (ph == oh && pl < ol):
		return -1
	}
	return 1
}

// PerGiB returns the price of one GiB, rounded up, for printing and comparing.
func (p Price) PerGiB() Msat { return p.Charge(GiB) }

// String prints the price as it is written in a configuration, exactly: "25 sat per GiB", or "free".
func (p Price) String() string {
	if p.Free() {
		return "free"
	}
	return fmt.Sprintf("%s per %s", p.Msat, strings.TrimPrefix(p.Per.exact(), "1 "))
}
