package ledger

import (
	"testing"
	"time"
)

func TestWindowsBeginAtMidnightOfTheZone(t *testing.T) {
	for _, tc := range []struct{ zone, now, day, week, month string }{
		{"UTC", "2026-03-04T23:59:59Z", "2026-03-04T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"Europe/Berlin", "2026-03-04T22:59:59Z", "2026-03-03T23:00:00Z", "2026-03-01T23:00:00Z", "2026-02-28T23:00:00Z"},
		{"Europe/Berlin", "2026-03-04T23:00:00Z", "2026-03-04T23:00:00Z", "2026-03-01T23:00:00Z", "2026-02-28T23:00:00Z"},
		{"Europe/Berlin", "2026-04-01T12:00:00Z", "2026-03-31T22:00:00Z", "2026-03-29T22:00:00Z", "2026-03-31T22:00:00Z"},
		{"Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2026-12-31T10:00:00Z", "2026-12-27T10:00:00Z", "2026-12-31T10:00:00Z"},
		// Clocks are put back from one o'clock to midnight, which comes twice: the first counts, before and after.
		{"Atlantic/Azores", "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-19T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"Atlantic/Azores", "2026-10-25T01:30:00Z", "2026-10-25T00:00:00Z", "2026-10-19T00:00:00Z", "2026-10-01T00:00:00Z"},
		// Clocks are put forward from midnight to one: there is no midnight, and the hour before counts, too.
		{"America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T03:00:00Z", "2026-08-31T04:00:00Z", "2026-09-01T04:00:00Z"},
	} {
		zone, err := time.LoadLocation(tc.zone)
		check(t, err)
		ms := func(s string) int64 {
			at, err := time.Parse(time.RFC3339, s)
			check(t, err)
			return at.UnixMilli()
		}
		got := windowsAt(clock{ms: ms(tc.now)}, zone)
		if want := (windows{ms(tc.day), ms(tc.week), ms(tc.month)}); got != want {
			t.Errorf("%s in %s: %v, want %v", tc.now, tc.zone,
				[]time.Time{time.UnixMilli(got.day).UTC(), time.UnixMilli(got.week).UTC(), time.UnixMilli(got.month).UTC()}, tc)
		}
	}
}

// TestWindowsNeverBeginLaterThanNow goes through a year.
func TestWindowsNeverBeginLaterThanNow(t *testing.T) {
	for _, zone := range append(zones(t), load(t, "Atlantic/Azores"), load(t, "America/Santiago"), load(t, "Asia/Beirut")) {
		start := time.Date(2026, 1, 1, 0, 7, 0, 0, time.UTC)
		last := windowsAt(clockAt(start), zone)
		for at := start; at.Year() == 2026; at = at.Add(20 * time.Minute) {
			w := windowsAt(clockAt(at), zone)
			now := at.UnixMilli()
			if w.day > now || w.week > w.day || w.month > w.day || now-w.day > 26*msPerDay/24 {
				t.Fatalf("%s in %s: %v", at, zone, w)
			}
			if w.day < last.day || w.week < last.week || w.month < last.month {
				t.Fatalf("%s in %s: a window moves back", at, zone)
			}
			last = w
		}
	}
}

func load(t failer, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	check(t, err)
	return zone
}
