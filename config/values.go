package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/units"
)

// Each function here returns how to read one kind of value into its place.

func text(dst *string, most int) func(string) error {
	return func(s string) error {
		if s == "" || len(s) > most || s != oneLine(s) {
			return &fault{message: fmt.Sprintf("is not a line of 1 to %d characters", most), remedy: "shorten it"}
		}
		*dst = s
		return nil
	}
}

// name reads what becomes part of a file's name.
func name(dst *string) func(string) error {
	return func(s string) error {
		if s == "" || len(s) > 32 || strings.Trim(s, nameLetters) != "" {
			return &fault{message: fmt.Sprintf("%q is not a name of 1 to 32 letters, digits, - and _", clip(s)), remedy: `write one such as "films"`}
		}
		*dst = s
		return nil
	}
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func oneOf(dst *string, words ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return &fault{message: fmt.Sprintf("%q is not a choice here", clip(s)), remedy: "choose " + alternatives(words)}
		}
		*dst = s
		return nil
	}
}

// choice is an option whose value is one of some words.
func choice(key, def string, dst *string, words ...string) option {
	return option{key: key, def: def, words: words, set: oneOf(dst, words...)}
}

func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func boolean(dst *bool) func(string) error {
	return func(s string) error {
		switch s {
		case "true", "false":
			*dst = s == "true"
			return nil
		}
		return &fault{message: fmt.Sprintf("%q is neither true nor false", clip(s)), remedy: "write true or false"}
	}
}

func integer[T ~int | ~int32 | ~uint16 | ~uint32](dst *T, least, most int64) func(string) error {
	return func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < least || n > most {
			return &fault{
				message: fmt.Sprintf("%q is not a whole number from %d to %d", clip(s), least, most),
				remedy:  "write plain digits in that range",
			}
		}
		*dst = T(n)
		return nil
	}
}

// duration takes limits as they are printed, "1 s" to "10 m".
func duration(dst *time.Duration, least, most string) func(string) error {
	return func(s string) error {
		d, err := parseDuration(s)
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not a duration", clip(s)), remedy: `write a number with ms, s, m or h, such as "` + least + `"`}
		}
		low, _ := parseDuration(least)
		high, _ := parseDuration(most)
		if d < low || d > high {
			return &fault{message: fmt.Sprintf("%q is out of range", clip(s)), remedy: "choose " + least + " to " + most}
		}
		*dst = d
		return nil
	}
}

func amount(dst *units.Msat) func(string) error {
	return func(s string) error {
		if err := negative(s); err != nil {
			return err
		}
		m, err := units.ParseMsat(s)
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not an amount", clip(s)), remedy: `write it with msat, sat or btc, such as "25 sat"`}
		}
		*dst = m
		return nil
	}
}

func size(dst *units.Bytes) func(string) error {
	return func(s string) error {
		if err := negative(s); err != nil {
			return err
		}
		b, err := units.ParseBytes(s)
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not a size", clip(s)), remedy: `write it with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as "64 MiB"`}
		}
		*dst = b
		return nil
	}
}

func price(dst *units.Price) func(string) error {
	return func(s string) error {
		if err := negative(s); err != nil {
			return err
		}
		pr, err := units.ParsePrice(s)
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not a price", clip(s)), remedy: `write an amount per size, such as "25 sat per GiB", or "free"`}
		}
		*dst = pr
		return nil
	}
}

func negative(s string) error {
	if strings.HasPrefix(strings.TrimSpace(s), "-") {
		return &fault{message: fmt.Sprintf("%q is negative", clip(s)), remedy: "write 0 or more"}
	}
	return nil
}

func infoHash(dst *units.InfoHash) func(string) error {
	return func(s string) error {
		h, err := units.ParseInfoHash(s)
		if err != nil && len(s) == 64 {
			h, err = truncated(s)
		}
		if err != nil {
			return &fault{message: fmt.Sprintf("%q is not an info-hash", clip(s)), remedy: hashRemedy(s)}
		}
		*dst = h
		return nil
	}
}

// truncated returns the form of a v2 info-hash that peers use (BEP 52): its first 20 bytes.
func truncated(s string) (units.InfoHash, error) {
	long, err := hex.DecodeString(s)
	if err != nil {
		return units.InfoHash{}, err
	}
	return units.InfoHash(long), nil
}

func hashRemedy(s string) string {
	switch {
	case strings.Contains(s, "magnet:"):
		return "write only the 40 hexadecimal digits that follow urn:btih:"
	case len(s) == 68 && strings.HasPrefix(s, "1220"):
		return "of a v2 torrent's multihash leave the 1220 in front out"
	case len(s) == 32:
		return "this looks like base32: write the 40 hexadecimal digits that the client shows"
	}
	return "write 40 hexadecimal digits (v1) or 64 (v2), as the client shows them"
}

// infoHashes reads one entry of a list of info-hashes.
func infoHashes(list *[]units.InfoHash) func(string) error {
	var any bool
	read := torrents(&any, list)
	return func(s string) error {
		if s == "any" {
			return infoHash(nil)(s)
		}
		return read(s)
	}
}

// torrents reads one entry of a rule's list: an info-hash, or the word any.
func torrents(any *bool, list *[]units.InfoHash) func(string) error {
	seen := map[units.InfoHash]bool{}
	return func(s string) error {
		if s == "any" {
			*any = true
			return nil
		}
		var h units.InfoHash
		if err := infoHash(&h)(s); err != nil {
			return err
		}
		if seen[h] {
			return &fault{message: clip(s) + " stands here twice", remedy: "remove one of the two", note: true}
		}
		seen[h] = true
		*list = append(*list, h)
		return nil
	}
}

func loopbackRange(dst *netip.Prefix) func(string) error {
	return func(s string) error {
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is4() || !p.Addr().IsLoopback() || p.Bits() < 8 || p.Bits() > 16 {
			return &fault{
				message: fmt.Sprintf("%q is not a range of loopback addresses with /8 to /16", clip(s)),
				remedy:  `write a part of 127.0.0.0/8, such as "127.64.0.0/10"`,
			}
		}
		*dst = p.Masked()
		return nil
	}
}

func ruleName(kind string, i int) string { return fmt.Sprintf("%s[%d]", kind, i) }
