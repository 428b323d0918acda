package units

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Msat is an amount of money in millisatoshi (BOLT 2: 1 sat = 1,000 msat).
type Msat int64

// Bytes is a size in bytes.
type Bytes int64

// Common multiples.
const (
	Sat Msat = 1000
	Bit Msat = 100 * Sat
	BTC Msat = 100_000_000 * Sat

	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

// MaxMsat is the largest amount that can be parsed: 21 million bitcoin.
const MaxMsat = 21_000_000 * BTC

var msatUnits = map[string]Msat{"msat": 1, "sat": Sat, "sats": Sat, "btc": BTC}

var byteUnits = map[string]Bytes{
	"b": 1, "bytes": 1, "byte": 1,
	"kb": 1000, "mb": 1000_000, "gb": 1000_000_000, "tb": 1000_000_000_000,
	"kib": KiB, "mib": MiB, "gib": GiB, "tib": TiB,
}

// ParseMsat reads an amount with its unit, such as "25 sat", "1500 msat" or "0.001 btc". A bare "0" needs
// no unit. The amount must be a whole number of millisatoshi between 0 and MaxMsat.
func ParseMsat(s string) (Msat, error) {
	n, err := parseQuantity(s, msatUnits, "msat, sat or btc")
	if err != nil {
		return 0, err
	}
	if n > int64(MaxMsat) {
		return 0, fmt.Errorf("%q is more than all bitcoin", s)
	}
	return Msat(n), nil
}

// ParseBytes reads a size with its unit, such as "64 MiB", "1.5 GiB" or "500 kB". A bare "0" needs no unit.
func ParseBytes(s string) (Bytes, error) {
	n, err := parseQuantity(s, byteUnits, "B, KiB, MiB, GiB, TiB, kB, MB, GB or TB")
	return Bytes(n), err
}

// parseQuantity multiplies a non-negative decimal number by its unit, exactly.
func parseQuantity[T ~int64](s string, table map[string]T, want string) (int64, error) {
	number, unit := splitNumber(strings.TrimSpace(s))
	if number == "" {
		return 0, fmt.Errorf("%q is not a number with a unit (%s)", s, want)
	}
	factor, ok := table[strings.ToLower(unit)]
	if n, err := scaleDecimal(number, 1); unit == "" && err == nil && n == 0 {
		return 0, nil
	}
	if !ok {
		return 0, fmt.Errorf("%q needs a unit: %s", s, want)
	}
	n, err := scaleDecimal(number, int64(factor))
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	return n, nil
}

func splitNumber(s string) (number, unit string) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '_' })
	if i < 0 {
		return strings.ReplaceAll(s, "_", ""), ""
	}
	return strings.ReplaceAll(s[:i], "_", ""), strings.TrimSpace(s[i:])
}

var (
	errRange    = errors.New("out of range")
	errFraction = errors.New("is not a whole number of the smallest unit")
)

// scaleDecimal returns number × factor, refusing a result that is not an integer or does not fit.
func scaleDecimal(number string, factor int64) (int64, error) {
	whole, frac, _ := strings.Cut(number, ".")
	frac = strings.TrimRight(frac, "0")
	if whole == "" && frac == "" || strings.Contains(frac, ".") || len(frac) > 12 {
		return 0, fmt.Errorf("%q is not a decimal number", number)
	}
	digits, err := strconv.ParseUint(whole+frac, 10, 64)
	if err != nil {
		return 0, errRange
	}
	div := uint64(math.Pow10(len(frac)))
	hi, lo := bits.Mul64(digits, uint64(factor))
	if hi >= div {
		return 0, errRange
	}
	q, r := bits.Div64(hi, lo, div)
	if r != 0 {
		return 0, errFraction
	}
	if q > math.MaxInt64 {
		return 0, errRange
	}
	return int64(q), nil
}

// String prints the amount with its unit: whole satoshi as "12 sat", anything finer as "12.345 sat".
func (m Msat) String() string {
	sign := ""
	u := uint64(m)
	if m < 0 {
		sign, u = "-", -u
	}
	if u%1000 == 0 {
		return fmt.Sprintf("%s%d sat", sign, u/1000)
	}
	return fmt.Sprintf("%s%d.%03d sat", sign, u/1000, u%1000)
}

// binaryUnits are the units that sizes are printed in, largest first.
var binaryUnits = []struct {
	size Bytes
	name string
}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}}

// String prints the size in the largest binary unit that keeps at least one digit before the point, rounded to two
// digits after it.
func (b Bytes) String() string {
	sign := ""
	size := uint64(b)
	if b < 0 {
		sign, size = "-", -size
	}
	for _, u := range binaryUnits {
		if size >= uint64(u.size) {
			number := fmt.Sprintf("%.2f", float64(size)/float64(u.size))
			return sign + strings.TrimSuffix(strings.TrimSuffix(number, "0"), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%s%d B", sign, size)
}

// exact prints the size without rounding, in the largest binary unit of which it is a whole number.
func (b Bytes) exact() string {
	for _, u := range binaryUnits {
		if b != 0 && b%u.size == 0 {
			return fmt.Sprintf("%d %s", b/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", int64(b))
}
