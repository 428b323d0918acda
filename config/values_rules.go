package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines that have none

	"paygate/units"
)

// Each function here returns how to read one kind of value of a rule into its place.

func parseDuration(s string) (time.Duration, error) {
	s = strings.ReplaceAll(s, " ", "")
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		number, ok := strings.CutSuffix(s, unit)
		if n, err := strconv.ParseInt(number, 10, 64); ok && err == nil && n < math.MaxInt64/int64(length) && -n < math.MaxInt64/int64(length) {
			return time.Duration(n) * length, nil
		}
	}
	return time.ParseDuration(s)
}

// priceOrTorrent reads a price per size, or a price for a whole torrent.
func priceOrTorrent(per *units.Price, whole *units.Msat) func(string) error {
	return func(s string) error {
		if m, ok := strings.CutSuffix(s, "per torrent"); ok {
			return amount(whole)(strings.TrimSpace(m))
		}
		return price(per)(s)
	}
}

// limit reads an amount that may not be exceeded, or none.
func limit(dst *units.Msat) func(string) error {
	return func(s string) error {
		if s == "none" {
			*dst = 0
			return nil
		}
		var m units.Msat
		if err := amount(&m)(s); err != nil {
			return err
		}
		if m == 0 {
			return &fault{message: "a cap of 0 lets nothing be bought", remedy: "write an amount, or none, or remove the rules"}
		}
		*dst = m
		return nil
	}
}

func percent(dst *int, least, most int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(s, "%")))
		if err != nil || n < least || n > most {
			return &fault{message: fmt.Sprintf("%q is not a whole percentage from %d to %d", clip(s), least, most), remedy: fmt.Sprintf(`write it as "%d%%"`, most)}
		}
		*dst = n
		return nil
	}
}

// rate reads a size per second.
func rate(dst *units.Bytes) func(string) error {
	return func(s string) error {
		b, ok := parseRate(s)
		if !ok || b == 0 {
			return &fault{message: fmt.Sprintf("%q is not a rate", clip(s)), remedy: `write a size per second, such as "5 MiB/s"`}
		}
		*dst = b
		return nil
	}
}

func parseRate(s string) (units.Bytes, bool) {
	s, ok := strings.CutSuffix(strings.TrimSpace(s), "s")
	if !ok {
		return 0, false
	}
	s = strings.TrimSpace(s)
	if t, ok := strings.CutSuffix(s, "/"); ok {
		s = t
	} else if t, ok := strings.CutSuffix(s, " per"); ok {
		s = t
	} else {
		return 0, false
	}
	b, err := units.ParseBytes(strings.TrimSpace(s))
	return b, err == nil && b >= 0
}

// buyWhens are what a buying rule's when begins with.
var buyWhens = []string{BuyAlways, BuySlower, BuyNoFreeSeeds, BuyRare}

func buyWhen(dst *BuyWhen) func(string) error {
	return func(s string) error {
		switch s {
		case BuyAlways, BuyNoFreeSeeds, BuyRare:
			*dst = BuyWhen{Kind: s}
			return nil
		}
		if rest, ok := strings.CutPrefix(s, BuySlower+" "); ok {
			speed, length, _ := strings.Cut(rest, " for ")
			b, ok := parseRate(speed)
			d, err := parseDuration(length)
			if ok && b > 0 && err == nil && d >= time.Second && d <= 24*time.Hour {
				*dst = BuyWhen{Kind: BuySlower, Rate: b, For: d}
				return nil
			}
		}
		return &fault{
			message: fmt.Sprintf("%q is not a choice here", clip(s)),
			remedy:  `choose always, no_free_seeds, rare, or such as "slower_than 200 KiB/s for 60 s" (1 s to 24 h)`,
		}
	}
}

func ratio(dst *Ratio) func(string) error {
	return func(s string) error {
		n, err := thousandthsOf(s)
		if err != nil || n <= 0 {
			return &fault{message: fmt.Sprintf("%q is not a ratio", clip(s)), remedy: `write a number above 0, such as "1.5"`}
		}
		*dst = Ratio(n)
		return nil
	}
}

func optional(dst **bool) func(string) error {
	return func(s string) error {
		var b bool
		err := boolean(&b)(s)
		if err == nil {
			*dst = &b
		}
		return err
	}
}

func names(dst *[]string) func(string) error {
	return func(s string) error {
		var name string
		err := text(&name, 200)(s)
		if err == nil {
			*dst = append(*dst, name)
		}
		return err
	}
}

// hosts reads a tracker's host, or "*." and the end of one.
func hosts(dst *[]string) func(string) error {
	return func(s string) error {
		h := strings.ToLower(strings.Trim(s, "[]"))
		_, notIP := netip.ParseAddr(h)
		if notIP != nil && !hostName(strings.TrimPrefix(h, "*.")) {
			return &fault{message: fmt.Sprintf("%q is not a host", clip(s)), remedy: `write it without scheme, port and path: "tracker.example.org", or "*.example.org" for all below`}
		}
		*dst = append(*dst, strings.TrimSuffix(h, "."))
		return nil
	}
}

// HostMatches reports whether a host, in lower case, is what a pattern of the file says: the same host, or any host below
// the domain that follows "*.".
func HostMatches(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return pattern == host
}

func networks(dst *[]netip.Prefix) func(string) error {
	return func(s string) error {
		p, err := netip.ParsePrefix(s)
		if a, single := netip.ParseAddr(s); err != nil && single == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if a := p.Addr(); err == nil && a.Is4In6() {
			if p.Bits() < 96 {
				return badNetwork(s)
			}
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		if err != nil {
			return badNetwork(s)
		}
		*dst = append(*dst, p.Masked())
		return nil
	}
}

func badNetwork(s string) error {
	return &fault{message: fmt.Sprintf("%q is neither a network nor an address", clip(s)), remedy: `write it as "192.0.2.0/24", "2001:db8::/48" or "192.0.2.7"`}
}

func countries(dst *[]string) func(string) error {
	return func(s string) error {
		c := strings.ToUpper(s)
		if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
			return &fault{message: fmt.Sprintf("%q is not a country", clip(s)), remedy: `write its two letters (ISO 3166-1), such as "DE"`}
		}
		*dst = append(*dst, c)
		return nil
	}
}

// maxClientID is how long a peer id is (BEP 3).
const maxClientID = 20

func clientIDs(dst *[]string) func(string) error {
	return func(s string) error {
		if s == "" || len(s) > maxClientID || s != oneLine(s) {
			return &fault{message: fmt.Sprintf("%q is not what a peer id can begin with", clip(s)), remedy: `write up to 20 characters, such as "-qB" or "-TR4"`}
		}
		*dst = append(*dst, s)
		return nil
	}
}

func identities(dst *[]units.PeerKey) func(string) error {
	return func(s string) error {
		k, err := units.ParsePeerKey(s)
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not a peer's identity", clip(s)), remedy: "write 64 hexadecimal digits, as `paygate ledger export csv` lists them"}
		}
		*dst = append(*dst, k)
		return nil
	}
}

var weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// weekdays reads a day, or a range of days that may go round the week's end.
func weekdays(dst *uint8) func(string) error {
	return func(s string) error {
		first, last, ranged := strings.Cut(strings.ToLower(s), "-")
		from := slices.Index(weekdayNames, strings.TrimSpace(first))
		to := from
		if ranged {
			to = slices.Index(weekdayNames, strings.TrimSpace(last))
		}
		if from < 0 || to < 0 {
			return &fault{message: fmt.Sprintf("%q is not a day of the week", clip(s)), remedy: "write mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri"}
		}
		for d := from; ; d = (d + 1) % 7 {
			*dst |= 1 << d
			if d == to {
				return nil
			}
		}
	}
}

const dayMinutes = 24 * 60

// spans reads a part of the day.
func spans(dst *[]Span) func(string) error {
	return func(s string) error {
		first, last, ok := strings.Cut(s, "-")
		from, okFrom := clock(first)
		to, okTo := clock(last)
		if !ok || !okFrom || !okTo || from == to || from == dayMinutes {
			return &fault{message: fmt.Sprintf("%q is not a part of the day", clip(s)), remedy: `write it in quotes as "22:00-06:00", from 00:00 to 24:00`}
		}
		*dst = append(*dst, Span{from, to})
		return nil
	}
}

func clock(s string) (minutes int, ok bool) {
	hour, minute, ok := strings.Cut(strings.TrimSpace(s), ":")
	h, errH := strconv.ParseUint(hour, 10, 8)
	m, errM := strconv.ParseUint(minute, 10, 8)
	minutes = int(h)*60 + int(m)
	return minutes, ok && errH == nil && errM == nil && len(minute) == 2 && m < 60 && minutes <= dayMinutes
}

func zone(dst **time.Location) func(string) error {
	return func(s string) error {
		z, err := time.LoadLocation(s)
		if err != nil || s == "Local" || s == "" {
			return &fault{message: fmt.Sprintf("%q is not a time zone", clip(s)), remedy: `write its name, such as "Europe/Berlin" or "UTC"`}
		}
		*dst = z
		return nil
	}
}

// numbers reads a condition on a number: "at least A", "at most B", "A to B" or "A".
func numbers(dst *Range, one func(string) (int64, error), examples string) func(string) error {
	return func(s string) error {
		r, err := parseRange(strings.TrimSpace(s), one)
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not a range", clip(s)), remedy: "write it as " + examples}
		}
		if r.Least > r.Most {
			return &fault{message: fmt.Sprintf("%q holds nothing", clip(s)), remedy: "write the smaller one first"}
		}
		*dst = r
		return nil
	}
}

func parseRange(s string, one func(string) (int64, error)) (Range, error) {
	r := Range{Set: true, Most: math.MaxInt64}
	var err error
	if least, ok := strings.CutPrefix(s, "at least "); ok {
		r.Least, err = one(least)
		return r, err
	}
	if most, ok := strings.CutPrefix(s, "at most "); ok {
		r.Most, err = one(most)
		return r, err
	}
	least, most, ok := strings.Cut(s, " to ")
	if r.Least, err = one(least); err != nil {
		return r, err
	}
	r.Most = r.Least
	if ok {
		r.Most, err = one(most)
	}
	return r, err
}

func bytesOf(s string) (int64, error) {
	b, err := units.ParseBytes(strings.TrimSpace(s))
	return int64(b), err
}

func nanosecondsOf(s string) (int64, error) {
	d, err := parseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return int64(d), err
}

func countOf(s string) (int64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	return int64(n), err
}

// thousandthsOf reads a decimal of at most three places.
func thousandthsOf(s string) (int64, error) {
	whole, part, _ := strings.Cut(strings.TrimSpace(s), ".")
	if len(part) > 3 {
		return 0, strconv.ErrRange
	}
	n, err := strconv.ParseUint(whole+part+strings.Repeat("0", 3-len(part)), 10, 50)
	return int64(n), err
}
