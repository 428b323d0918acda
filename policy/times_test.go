package policy

import (
	"testing"
	"time"

	"paygate/config"
)

// TestTimesWhenClocksChange looks at windows by the wall clock of a zone on the days on which it is set forward and back.
func TestTimesWhenClocksChange(t *testing.T) {
	berlin, auckland := someZones[1], someZones[2]
	two := []config.Span{{From: 2 * 60, To: 3 * 60}}
	night := []config.Span{{From: 22 * 60, To: 6 * 60}}
	const saturday, sunday = 1 << time.Saturday, 1 << time.Sunday
	for _, c := range []struct {
		name  string
		times config.Times
		from  string // UTC
		hours int
		open  string // one letter for each half hour from there on
	}{
		{"the hour that is left out", config.Times{Zone: berlin, Hours: two}, "2024-03-31T00:00:00Z", 3, "......"},
		{"the same hour on the day before", config.Times{Zone: berlin, Hours: two}, "2024-03-30T00:00:00Z", 3, "..XX.."},
		{"the hour that comes twice", config.Times{Zone: berlin, Hours: two}, "2024-10-26T23:30:00Z", 4, ".XXXX..."},
		{"a night that is an hour short", config.Times{Zone: berlin, Hours: night, Days: saturday}, "2024-03-30T20:30:00Z", 8, ".XXXXXXXXXXXXXX."},
		{"a night that is an hour long", config.Times{Zone: berlin, Hours: night, Days: saturday}, "2024-10-26T19:30:00Z", 10, ".XXXXXXXXXXXXXXXXXX."},
		{"the night before belongs to another day", config.Times{Zone: berlin, Hours: night, Days: sunday}, "2024-03-30T20:30:00Z", 8, "................"},
		{"forward in the south", config.Times{Zone: auckland, Hours: two}, "2024-09-28T13:30:00Z", 2, "...."},
		{"back in the south", config.Times{Zone: auckland, Hours: two}, "2024-04-06T12:30:00Z", 4, ".XXXX..."},
		{"a day of 23 hours", config.Times{Zone: berlin, Days: sunday}, "2024-03-30T22:30:00Z", 24, "." + string(repeat('X', 46)) + "."},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.from)
			if err != nil {
				t.Fatal(err)
			}
			s := NewSelling(config.Sell{Rules: []config.SellRule{{Match: config.Match{Times: c.times}, Deny: true}}})
			var open []byte
			for range 2 * c.hours {
				f := Facts{Now: at}
				d := s.Decide(f)
				if d.Deny != s.Explain(f).Deny {
					t.Errorf("%v: explained otherwise", at)
				}
				open = append(open, map[bool]byte{true: 'X', false: '.'}[d.Deny])
				at = at.Add(30 * time.Minute)
			}
			if string(open) != c.open {
				t.Errorf("open %s, want %s", open, c.open)
			}
		})
	}
}

func repeat(b byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

// TestTimesDoNotRemember: what holds depends on the time told alone, so a clock that jumps and comes back decides the same.
func TestTimesDoNotRemember(t *testing.T) {
	s := NewSelling(config.Sell{Rules: []config.SellRule{{Deny: true, Match: config.Match{Times: config.Times{Zone: time.UTC, Hours: []config.Span{{From: 0, To: 60}}}}}}})
	noon := Facts{Now: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
	midnight := Facts{Now: noon.Now.Add(12 * time.Hour)}
	for range 3 {
		if s.Decide(noon).Deny || !s.Decide(midnight).Deny {
			t.Fatal("the same time, another decision")
		}
	}
}
