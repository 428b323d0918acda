package client

import (
	"time"

	"paygate/units"
)

const (
	// tallySlack is what the client may be ahead by: what it counts as sent while the kernel still holds it, for each
	// connection and for all, and what the two counts differ in by being read at different moments.
	tallySlack    = 32 * units.MiB
	tallyPerPeer  = 4 * units.MiB
	tallyShare    = 50              // and one part in so many
	tallyPatience = 3 * time.Minute // for so long it must last
)

// Tally holds what a client says it has uploaded against what has passed through paygate. A client that has uploaded
// more has served somebody past paygate. The zero Tally is ready; it is for one goroutine.
type Tally struct {
	begun    bool
	uploaded units.Bytes // at the beginning
	through  units.Bytes
	last     units.Bytes // uploaded, when it was looked at last
	since    time.Time   // when the two had parted; the zero time: they have not
	told     bool
}

// Look takes the counts at one moment: uploaded are the payload bytes that the client tells since it started, read before
// through, which are all bytes that paygate has sent to peers on its behalf, over peers connections. It returns by how
// much the client is ahead; whether it has been so, beyond what the counts may differ by, for some minutes; and whether
// that is news, which it is once until the client starts anew.
func (t *Tally) Look(now time.Time, uploaded, through units.Bytes, peers int) (ahead units.Bytes, parted, news bool) {
	if !t.begun || uploaded < t.last || through < t.through {
		*t = Tally{begun: true, uploaded: uploaded, through: through, last: uploaded}
		return 0, false, false
	}
	t.last = uploaded
	claimed := uploaded - t.uploaded
	ahead = max(0, claimed-(through-t.through))
	if ahead <= tallySlack+claimed/tallyShare+units.Bytes(min(peers, 100_000))*tallyPerPeer {
		t.since = time.Time{}
		return ahead, false, false
	}
	if t.since.IsZero() {
		t.since = now
	}
	parted = now.Sub(t.since) >= tallyPatience
	news = parted && !t.told
	t.told = t.told || parted
	return ahead, parted, news
}
