package policy

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/config"
	"paygate/units"
)

// Step is what one rule made of a connection.
type Step struct {
	Rule    string
	Index   int // in the list of rules
	Line    int // in the file
	Matches bool
	Tests   []Test // every condition of the rule; none: it takes every torrent, or, if it does not match, none
}

// Test is one condition of a rule.
type Test struct {
	Fact  string // as the file calls it
	Want  string // what the rule asks for
	Saw   string // what was seen; "unknown" if it is
	Holds bool
}

const unknown = "unknown"

// explain holds a connection against every scope, one condition after the other. It is slow and obvious, and shares
// nothing with engine but the facts: the two must agree.
func explain(name string, index, line int, s scope, f *Facts) Step {
	step := Step{Rule: name, Index: index, Line: line, Tests: tests(s, f)}
	step.Matches = s.selects() && !slices.ContainsFunc(step.Tests, func(t Test) bool { return !t.Holds })
	return step
}

func tests(s scope, f *Facts) (all []Test) {
	add := func(ask bool, t func() Test) {
		if ask {
			all = append(all, t())
		}
	}
	m := s.match
	add(len(s.hash) > 0 && !s.any, func() Test { return testHash(s.hash, f.InfoHashes) })
	add(len(m.Category) > 0, func() Test {
		c, known := f.category()
		return testOneOf("category", m.Category, c, known)
	})
	add(len(m.Tag) > 0, func() Test {
		return testAnyOf("tag", m.Tag, f.tags(), func(want, have string) bool { return want == have })
	})
	add(len(m.Tracker) > 0, func() Test { return testAnyOf("tracker", m.Tracker, hostsOf(f.trackers()), config.HostMatches) })
	add(m.Private != nil, func() Test {
		p, known := f.private()
		return testOneOf("private", []string{strconv.FormatBool(*m.Private)}, strconv.FormatBool(p), known)
	})
	number := func(fact string, r config.Range, value func() (int64, bool), text func(int64) string) {
		add(r.Set, func() Test {
			n, known := value()
			return testNumber(fact, r, n, known, text)
		})
	}
	number("size", m.Size, f.size, func(n int64) string { return units.Bytes(n).String() })
	number("age", m.Age, f.age, ageText)
	number("seeds", m.Seeds, f.seeds, func(n int64) string { return strconv.FormatInt(n, 10) })
	number("ratio", m.Ratio, f.ratio, ratioText)
	add(len(m.Peer) > 0, func() Test { return testPeer(m.Peer, f.Remote) })
	add(len(m.Country) > 0, func() Test { return testOneOf("country", m.Country, f.Country, f.Country != "") })
	add(len(m.ClientID) > 0, func() Test { return testClient(m.ClientID, f.ClientID) })
	add(len(m.Identity) > 0, func() Test { return testIdentity(m.Identity, f.Identity) })
	add(m.Times.Zone != nil, func() Test { return testTimes(m.Times, f.Now) })
	return all
}

func testHash(want, have []units.InfoHash) Test {
	t := Test{Fact: "torrents", Want: hashesText(want), Saw: hashesText(have)}
	for _, h := range have {
		t.Holds = t.Holds || slices.Contains(want, h)
	}
	return t
}

func testOneOf(fact string, want []string, have string, known bool) Test {
	t := Test{Fact: fact, Want: listText(want), Saw: unknown}
	if known {
		t.Saw, t.Holds = quoteEmpty(have), slices.Contains(want, have)
	}
	return t
}

func testAnyOf(fact string, want, have []string, holds func(want, have string) bool) Test {
	t := Test{Fact: fact, Want: listText(want), Saw: unknown}
	if len(have) > 0 {
		t.Saw = listText(have)
	}
	for _, h := range have {
		t.Holds = t.Holds || slices.ContainsFunc(want, func(w string) bool { return holds(w, h) })
	}
	return t
}

func testNumber(fact string, r config.Range, n int64, known bool, text func(int64) string) Test {
	t := Test{Fact: fact, Want: rangeText(r, text), Saw: unknown}
	if known {
		t.Saw, t.Holds = text(n), r.Holds(n)
	}
	return t
}

func testPeer(want []netip.Prefix, have netip.Addr) Test {
	t := Test{Fact: "peer", Want: listText(texts(want)), Saw: unknown}
	if have.IsValid() {
		have = have.Unmap().WithZone("")
		t.Saw = have.String()
		t.Holds = slices.ContainsFunc(want, func(p netip.Prefix) bool { return p.Contains(have) })
	}
	return t
}

func testClient(want []string, have string) Test {
	t := Test{Fact: "client_id", Want: listText(want), Saw: unknown}
	if have != "" {
		t.Saw = strconv.QuoteToASCII(have)
		t.Holds = slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(have, w) })
	}
	return t
}

func testIdentity(want []units.PeerKey, have units.PeerKey) Test {
	t := Test{Fact: "identity", Want: listText(texts(want)), Saw: unknown}
	if !have.IsZero() {
		t.Saw, t.Holds = have.String(), slices.Contains(want, have)
	}
	return t
}

func testTimes(want config.Times, now time.Time) Test {
	t := Test{Fact: "time", Want: timesText(want), Saw: unknown}
	if !now.IsZero() {
		local := now.In(want.Zone)
		t.Saw, t.Holds = strings.ToLower(local.Format("Mon 15:04")), timesHold(want, local)
	}
	return t
}

// timesHold looks at the wall clock of the zone alone: an hour that a change of the clocks leaves out is not, and one
// that it brings twice is twice.
func timesHold(want config.Times, local time.Time) bool {
	minute := local.Hour()*60 + local.Minute()
	on := func(d time.Weekday) bool { return want.Days == 0 || want.Days&(1<<d) != 0 }
	today, yesterday := local.Weekday(), (local.Weekday()+6)%7
	if len(want.Hours) == 0 {
		return on(today)
	}
	for _, h := range want.Hours {
		overnight := h.To <= h.From
		if minute >= h.From && (overnight || minute < h.To) && on(today) || overnight && minute < h.To && on(yesterday) {
			return true
		}
	}
	return false
}

func hostsOf(announces []string) (hosts []string) {
	for _, a := range announces {
		if h := hostOf(a); h != "" && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

func texts[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

// shownValues is how many values of a list are worth printing.
const shownValues = 3

func listText(list []string) string {
	if more := len(list) - shownValues; more > 0 {
		return strings.Join(list[:shownValues], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(list, ", ")
}

func hashesText(list []units.InfoHash) string { return listText(texts(list)) }

func quoteEmpty(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func rangeText(r config.Range, text func(int64) string) string {
	switch {
	case r.Least == r.Most:
		return text(r.Least)
	case r.Most == math.MaxInt64:
		return "at least " + text(r.Least)
	case r.Least == 0:
		return "at most " + text(r.Most)
	}
	return text(r.Least) + " to " + text(r.Most)
}

func ratioText(n int64) string { return config.Ratio(n).String() }

// ageText prints whole days as such, and anything else as Go does.
func ageText(n int64) string {
	const day = 24 * time.Hour
	d := time.Duration(n)
	switch {
	case d >= day && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + " d"
	case d > 2*day:
		return strconv.FormatFloat(d.Hours()/24, 'f', 1, 64) + " d"
	case d > time.Minute:
		d = d.Round(time.Second)
	}
	return d.String()
}

func timesText(t config.Times) string {
	var parts []string
	if t.Days != 0 {
		var days []string
		for d := range 7 {
			if t.Days&(1<<d) != 0 {
				days = append(days, strings.ToLower(time.Weekday(d).String()[:3]))
			}
		}
		parts = append(parts, strings.Join(days, ","))
	}
	for _, h := range t.Hours {
		parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60))
	}
	return strings.Join(append(parts, t.Zone.String()), " ")
}

// Conditions lists what a rule asks for besides its torrents, each for a person.
func Conditions(m *config.Match) []string {
	var out []string
	for _, t := range tests(scope{match: m}, &Facts{}) {
		out = append(out, t.Fact+" "+t.Want)
	}
	return out
}
