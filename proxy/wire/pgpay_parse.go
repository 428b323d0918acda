package wire

import (
	"errors"
	"fmt"
	"math"

	"paygate/units"
)

// ParseMessage reads one message. Keys that it does not know are ignored. It returns ErrUnknownType for a well-formed message of another
// type, and a *SyntaxError for everything else that is wrong: bencoding that is not canonical at the top (keys must ascend, and
// each stand there once), more than MaxMessage bytes, bytes behind the dictionary, missing keys, wrong types, values out of range.
// Nothing in the result aliases b.
func ParseMessage(b []byte) (Message, error) {
	r := reader{b: b, kind: "message"}
	r.check()
	kind := r.word("t")
	if r.err != nil {
		return nil, r.err
	}
	r.kind = kind
	m := r.message()
	if r.err != nil {
		return nil, r.err
	}
	if m == nil {
		return nil, ErrUnknownType
	}
	return m, nil
}

// message reads the message of the type that has been found.
func (r *reader) message() Message {
	switch r.kind {
	case typeHello:
		return r.hello()
	case typeTerms:
		return r.terms()
	case typeBuy:
		return r.buy()
	case typeInvoice:
		return r.invoice()
	case typePaid:
		m := Paid{}
		r.fixed("pre", m.Pre[:])
		return m
	case typeState:
		return State{
			Served: r.size("served"), Charged: r.amount("charged", 0),
			Bal:  units.Msat(r.int("bal", -int64(units.MaxMsat), int64(units.MaxMsat))),
			Gate: r.oneOf("gate", GateOpen, GateHeld, GateShut, GateBusy),
		}
	case typeNo:
		return No{Code: r.word("code"), TTL: r.ttl()}
	}
	return nil
}

func (r *reader) hello() Hello {
	var m Hello
	r.fixed("pk", m.PK[:])
	r.fixed("sig", m.Sig[:])
	if r.err == nil && m.PK.IsZero() {
		r.fail("pk", errZeroKey)
	}
	if r.has("node") {
		r.fixed("node", m.Node[:])
		if r.err == nil && m.Node[0] != 2 && m.Node[0] != 3 {
			r.fail("node", errNode)
		}
	}
	return m
}

func (r *reader) terms() Terms {
	m := Terms{
		Price: units.Price{Msat: r.amount("price", 0), Per: units.Bytes(r.int("per", 1, units.MaxPer))},
		Min:   r.amount("min", 0), Max: r.amount("max", 0),
		Free: r.size("free"), Credit: r.amount("credit", 0), TTL: r.ttl(),
	}
	if r.err == nil && m.Min > m.Max {
		r.fail("min", errMinMax)
	}
	return m
}

func (r *reader) buy() Buy {
	m := Buy{Amt: r.amount("amt", 1), For: r.purpose(), Left: -1}
	if r.has("left") {
		m.Left = r.size("left")
	}
	if r.has("price") {
		m.Bid = r.amount("price", 1)
	}
	return m
}

func (r *reader) invoice() Invoice {
	m := Invoice{Request: string(r.text("pr", 1, MaxMessage, isAlphanumeric)), Buys: r.size("buys"), For: r.purpose()}
	if r.err == nil && m.For == ForBytes && m.Buys == 0 {
		r.fail("buys", errBuysNothing)
	}
	return m
}

// ParseAdvert reads the value of the top-level key pg_pay of an extended handshake, as strictly as ParseMessage. For a version other
// than Version it returns that version with ErrUnknownVersion: the rest of such an advert may look different.
func ParseAdvert(b []byte) (Advert, error) {
	r := reader{b: b, kind: "advert"}
	r.check()
	a := Advert{V: r.int("v", 1, math.MaxInt64)}
	if r.err == nil && a.V != Version {
		return a, ErrUnknownVersion
	}
	r.fixed("nonce", a.Nonce[:])
	a.Net = r.word("net")
	a.Methods = r.words("methods", MaxMethods)
	if r.err != nil {
		return Advert{}, r.err
	}
	return a, nil
}

// What can be wrong with a message, besides *BencodeError.
var (
	errMissing     = errors.New("missing")
	errType        = errors.New("is of the wrong type")
	errTooLong     = fmt.Errorf("longer than %d bytes", MaxMessage)
	errTrailing    = errors.New("bytes behind the dictionary")
	errOrder       = errors.New("out of order or there twice")
	errZeroKey     = errors.New("is zero")
	errNode        = errors.New("is not a compressed public key")
	errMinMax      = errors.New("above max")
	errBuysNothing = errors.New("buys nothing")
	errCharacters  = errors.New("has a character that cannot be there")
	errCount       = errors.New("has too few or too many entries")
)

// reader takes values out of one dictionary. The first thing that is wrong stays in err; after that everything is zero.
type reader struct {
	b    []byte
	kind string // for errors
	err  error
}

func (r *reader) fail(key string, err error) {
	if r.err == nil {
		r.err = &SyntaxError{Type: r.kind, Key: key, Err: err}
	}
}

// check makes sure that b is one dictionary of bounded size whose keys ascend. All other methods rely on it.
func (r *reader) check() {
	if len(r.b) > MaxMessage {
		r.fail("", errTooLong)
		return
	}
	d, err := dictAt(r.b, 0, 0)
	if err != nil {
		r.fail("", err)
		return
	}
	for last, first := "", true; d.next(); first = false {
		key := string(d.key)
		if !first && key <= last {
			r.fail(key[:min(len(key), maxWord)], errOrder)
		}
		last = key
	}
	if d.err != nil {
		r.err = &SyntaxError{Type: r.kind, Err: d.err}
	} else if d.at != len(r.b) {
		r.fail("", errTrailing)
	}
}

func (r *reader) has(key string) bool {
	if r.err != nil {
		return false
	}
	_, _, ok := lookup(r.b, 0, key)
	return ok
}

func (r *reader) value(key string) []byte {
	if r.err != nil {
		return nil
	}
	v, _, ok := lookup(r.b, 0, key)
	if !ok {
		r.fail(key, errMissing)
	}
	return v
}

func (r *reader) int(key string, lo, hi int64) int64 {
	v := r.value(key)
	if r.err != nil {
		return 0
	}
	if v[0] != 'i' {
		r.fail(key, errType)
		return 0
	}
	n, ok := intValue(v)
	if !ok || n < lo || n > hi {
		r.fail(key, fmt.Errorf("not from %d to %d", lo, hi))
		return 0
	}
	return n
}

func (r *reader) amount(key string, lo int64) units.Msat {
	return units.Msat(r.int(key, lo, int64(units.MaxMsat)))
}

func (r *reader) size(key string) units.Bytes { return units.Bytes(r.int(key, 0, int64(MaxBytes))) }

func (r *reader) ttl() int64 { return r.int("ttl", 0, MaxTTL) }

// text takes a string of lo to hi bytes, all of which must be allowed; it aliases b.
func (r *reader) text(key string, lo, hi int, allowed func(byte) bool) []byte {
	v := r.value(key)
	if r.err != nil {
		return nil
	}
	return r.textOf(key, v, lo, hi, allowed)
}

func (r *reader) textOf(key string, v []byte, lo, hi int, allowed func(byte) bool) []byte {
	s, ok := textValue(v)
	switch {
	case !ok:
		r.fail(key, errType)
	case len(s) < lo || len(s) > hi:
		r.fail(key, fmt.Errorf("%d bytes long, not %d to %d", len(s), lo, hi))
	}
	for _, c := range s {
		if !allowed(c) {
			r.fail(key, errCharacters)
		}
	}
	if r.err != nil {
		return nil
	}
	return s
}

// fixed fills dst with a string of exactly its length.
func (r *reader) fixed(key string, dst []byte) {
	copy(dst, r.text(key, len(dst), len(dst), isAnything))
}

// word takes a short name.
func (r *reader) word(key string) string { return string(r.text(key, 1, maxWord, isWord)) }

// words takes a list of 1 to most short names.
func (r *reader) words(key string, most int) []string {
	v := r.value(key)
	if r.err != nil {
		return nil
	}
	if v[0] != 'l' {
		r.fail(key, errType)
		return nil
	}
	var out []string
	for at := 1; v[at] != 'e' && r.err == nil && len(out) <= most; {
		end, err := skipValue(v, at, 0)
		if err != nil {
			r.fail(key, err)
			return nil
		}
		out = append(out, string(r.textOf(key, v[at:end], 1, maxWord, isWord)))
		at = end
	}
	if len(out) == 0 || len(out) > most {
		r.fail(key, errCount)
	}
	return out
}

func (r *reader) purpose() string { return r.oneOf("for", ForBytes, ForDebt, ForTip) }

func (r *reader) oneOf(key string, choices ...string) string {
	s := r.word(key)
	for _, c := range choices {
		if s == c {
			return c
		}
	}
	r.fail(key, fmt.Errorf("not one of %q", choices))
	return ""
}

func isAnything(byte) bool { return true }

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
