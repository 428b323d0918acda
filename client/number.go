package client

import (
	"encoding/json"
	"math"
	"strconv"
)

// number is a JSON number that some versions write as an integer, others as a fraction, and some as text.
type number float64

// UnmarshalJSON takes numbers, numbers in quotes, and null, which is 0. Anything else is 0 too: a field that has
// changed its meaning in a new version must not cost us all the others.
func (n *number) UnmarshalJSON(b []byte) error {
	*n = 0
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		*n = number(f)
	}
	return nil
}

// int is the number as an integer, within what an int64 can hold.
func (n number) int() int64 {
	switch {
	case n >= math.MaxInt64:
		return math.MaxInt64
	case n <= math.MinInt64:
		return math.MinInt64
	}
	return int64(n)
}

// port is the number as a port; 0 if it is none.
func (n number) port() uint16 {
	if n < 0 || n > math.MaxUint16 {
		return 0
	}
	return uint16(n)
}

// limit is the number as a limit; 0 if there is none.
func (n number) limit() int { return int(max(0, min(n.int(), math.MaxInt32))) }
