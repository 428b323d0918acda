package ledger

import "time"

// windows are when the day, the week and the month began, in milliseconds since 1970.
type windows struct{ day, week, month int64 }

// windowsAt finds them by the calendar of a zone; nil is UTC.
func windowsAt(at clock, zone *time.Location) windows {
	if zone == nil {
		zone = time.UTC
	}
	now := time.UnixMilli(at.ms).In(zone)
	y, m, d := now.Date()
	sinceMonday := (int(now.Weekday()) + 6) % 7
	return windows{
		day:   begin(y, m, d, zone),
		week:  begin(y, m, d-sinceMonday, zone),
		month: begin(y, m, 1, zone),
	}
}

// mostShift is more than clocks are ever put back for summer time, and shiftStep divides all that they are.
const mostShift, shiftStep = 3 * time.Hour, 15 * time.Minute

// begin returns the first moment of a day. Where clocks are put back over midnight there are two midnights, and what was
// spent between them belongs to the day.
func begin(y int, m time.Month, d int, zone *time.Location) int64 {
	midnight := time.Date(y, m, d, 0, 0, 0, 0, zone)
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).YearDay()
	first := midnight
	for back := shiftStep; back <= mostShift; back += shiftStep {
		if t := midnight.Add(-back); t.YearDay() == day {
			first = t
		}
	}
	return first.UnixMilli()
}
