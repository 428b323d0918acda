package policy

import (
	"net/netip"
	"strings"
	"time"

	"paygate/client"
	"paygate/config"
	"paygate/units"
)

// Facts are what is known of one connection when a rule is asked. What is not known meets no condition on it.
type Facts struct {
	InfoHashes []units.InfoHash // what the initiator asks for, and every other form of it that is known
	Torrent    *client.Torrent  // nil: the client was not asked, or does not have it
	Remote     netip.Addr
	Country    string        // ISO 3166-1, upper case; "": unknown
	ClientID   string        // the peer id, or what it begins with; "": unknown
	Identity   units.PeerKey // proven by the peer; zero: unknown
	Volume     units.Bytes   // what this peer, as Identity, has been charged for before
	Now        time.Time     // zero: no condition on the time holds
	Initiator  bool          // our side has opened the connection
}

// known tells which facts about the torrent the client has told. The zero time of Added is none.
func (f *Facts) category() (string, bool) {
	if f.Torrent == nil {
		return "", false
	}
	return f.Torrent.Category, true
}

func (f *Facts) tags() []string {
	if f.Torrent == nil {
		return nil
	}
	return f.Torrent.Tags
}

func (f *Facts) trackers() []string {
	if f.Torrent == nil {
		return nil
	}
	return f.Torrent.Trackers
}

func (f *Facts) private() (private, known bool) {
	if f.Torrent == nil || !f.Torrent.PrivateKnown {
		return false, false
	}
	return f.Torrent.Private, true
}

// size is that of the whole torrent; of one whose metadata has not come, or of which nothing is wanted, it is unknown.
func (f *Facts) size() (int64, bool) {
	if f.Torrent == nil || f.Torrent.Size <= 0 {
		return 0, false
	}
	return int64(f.Torrent.Size), true
}

// age is never negative: a torrent from the future is new.
func (f *Facts) age() (int64, bool) {
	if f.Torrent == nil || f.Torrent.Added.IsZero() || f.Now.IsZero() {
		return 0, false
	}
	return max(0, int64(f.Now.Sub(f.Torrent.Added))), true
}

func (f *Facts) seeds() (int64, bool) {
	if f.Torrent == nil || f.Torrent.Seeds < 0 {
		return 0, false
	}
	return int64(f.Torrent.Seeds), true
}

// ratio is cut off after three places, as a config.Ratio; one that no int64 holds counts as the largest.
func (f *Facts) ratio() (int64, bool) {
	if f.Torrent == nil || !f.Torrent.ProgressKnown || !(f.Torrent.Ratio >= 0) {
		return 0, false
	}
	const most = 1e15
	return int64(min(f.Torrent.Ratio*1000, most)), true
}

// hostOf returns the host of an announce URL in lower case, without port and brackets; "" if there is none.
func hostOf(announce string) string {
	_, rest, ok := strings.Cut(announce, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if rest, ok := strings.CutPrefix(rest, "["); ok {
		host, _, _ := strings.Cut(rest, "]")
		return strings.ToLower(host)
	}
	host, _, _ := strings.Cut(rest, ":")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// minuteOfWeek returns the minutes since Sunday 00:00 by the wall clock of a zone.
func minuteOfWeek(t time.Time, zone *time.Location) int64 {
	t = t.In(zone)
	hour, minute, _ := t.Clock()
	return int64(t.Weekday())*dayMinutes + int64(hour)*60 + int64(minute)
}

const (
	dayMinutes  = 24 * 60
	weekMinutes = 7 * dayMinutes
)

// agreed reports whether every tracker of the torrent is among those that have agreed, and there is one.
func agreed(t *client.Torrent, patterns []string) bool {
	for _, announce := range t.Trackers {
		host, ok := hostOf(announce), false
		for _, p := range patterns {
			ok = ok || config.HostMatches(p, host)
		}
		if !ok {
			return false
		}
	}
	return len(t.Trackers) > 0
}
