package config

import (
	"net/netip"
	"strconv"
	"time"

	"paygate/units"
)

// Sell says what is charged for.
type Sell struct {
	Rules            []SellRule
	SampleTorrentDay units.Bytes // free samples per torrent and day; default 64 MiB
	SampleDay        units.Bytes // free samples in all per day; default 256 MiB
	OnLightningDown  string      // hold (default) or serve: what buyers get while our node is down
	GraceBytes       units.Bytes // for serve: the most that is given away in one outage; default 256 MiB
}

// SellRule says what becomes of some peers on some torrents. Rules are tried in order; the first that matches wins.
// It matches where its torrents and every condition of its Match hold.
type SellRule struct {
	Name          string // default "sell[N]", counted from 0
	Line          int    // where it stands in the file
	Any           bool   // every torrent: torrents: any, or all_torrents: true
	AllTorrents   bool   // the owner has said that he means to charge for whatever his client has
	InfoHash      []units.InfoHash
	Match         Match
	Price         units.Price // the zero Price: free, so a rule can also exempt
	PerTorrent    units.Msat  // instead of Price: for as many bytes as the torrent has; 0: not priced so
	Tiers         []Tier      // other prices from some volume on, in ascending order; none: Price holds for all of it
	Sample        units.Bytes // free bytes per torrent and subnet; default 0
	Legacy        string      // serve, sample, throttle or choke; default sample
	Throttle      units.Bytes // bytes per second for legacy: throttle; default 64 KiB
	Rights        string      // own, licensed, creative-commons or public-domain; required unless free
	TrackerAgreed []string    // hosts of private trackers that have agreed to it: see HostMatches
	When          string      // complete (default) or always
	Min, Max      units.Msat  // smallest and largest purchase; default 10 sat and 10,000 sat
	Interval      units.Bytes // the most bytes that one purchase buys; 0: as many as Max
	Credit        Credit
	MaxPeers      int         // peers that this rule serves at once; 0: any number
	Upload        units.Bytes // bytes per second that all peers of this rule share; 0: no limit of its own
	FreeShare     int         // percentage of Upload kept for those who do not pay; 0: none
	Auction       bool        // payers share Upload in proportion to their bids, Price being the floor
	FloorShare    int         // percentage of Upload kept in an auction for those who pay the floor; default 10
	Deny          bool        // these peers get nothing, for no money
}

// Charges reports whether the rule asks for money.
func (r *SellRule) Charges() bool { return !r.Deny && (!r.Price.Free() || r.PerTorrent > 0) }

// Tier is the price from a volume on.
type Tier struct {
	After units.Bytes // what one buyer has been charged for by this seller before
	Price units.Price
}

// Credit is how far those who have paid may run into debt. The zero Credit is none.
type Credit struct {
	Percent int        // of what the buyer has paid ever, 1 to 10
	Cap     units.Msat // at most; default 1,000 sat
}

// Buy says what may be spent. The zero Buy spends nothing.
type Buy struct {
	Rules       []BuyRule
	PerTorrent  units.Msat // caps, fees included; 0 = nothing may be spent
	PerPeer     units.Msat // on one seller, ever; 0: no such cap
	PerCategory units.Msat // on all torrents of one category or, for want of one, of none; 0: no such cap
	PerDay      units.Msat
	PerWeek     units.Msat // from Monday; 0: no such cap
	PerMonth    units.Msat // of the calendar; 0: no such cap
	Total       units.Msat
	Min         units.Msat // smallest purchase; default 10 sat
	Max         units.Msat // largest purchase and exposure to one seller; default 1,000 sat
	FeeMax      units.Msat // per payment; default 1 sat ...
	FeePercent  int        // ... or this share of it, whichever is more; default 1

	Zone *time.Location // by whose midnights days, weeks and months begin; default UTC
}

// BuyRule says for which torrents to pay, when, and at most how much. First match wins.
type BuyRule struct {
	Name     string // default "buy[N]", counted from 0
	Line     int
	Any      bool
	InfoHash []units.InfoHash
	Match    Match
	MaxPrice units.Price // zero: never buy these
	Bid      units.Price // what to offer where a seller auctions, if the floor is less; zero: the floor
	When     BuyWhen
	StopAt   Ratio // buys no more of a torrent on which the client's own ratio has come to this; 0: no such limit
}

// Kinds of BuyWhen.
const (
	BuyAlways      = "always"
	BuySlower      = "slower_than"   // while everything that comes is slower than Rate, and has been for For
	BuyNoFreeSeeds = "no_free_seeds" // while nobody who has all of it gives it away
	BuyRare        = "rare"          // while the swarm has next to no seeds
)

// BuyWhen says when a buying rule pays at all; its zero value is BuyAlways.
type BuyWhen struct {
	Kind string
	Rate units.Bytes   // per second, for BuySlower
	For  time.Duration // for BuySlower
}

// Match are the conditions of a rule besides its torrents, all of which must hold. Those in a list are alternatives. An
// empty field is no condition, and what is not known meets none.
type Match struct {
	Category []string // as the client has it
	Tag      []string // Transmission's labels are tags
	Tracker  []string // see HostMatches
	Private  *bool    // BEP 27
	Size     Range    // bytes
	Age      Range    // nanoseconds since the client was given the torrent
	Seeds    Range    // in the swarm
	Ratio    Range    // the client's own on this torrent, as a Ratio
	Peer     []netip.Prefix
	Country  []string // ISO 3166-1, upper case
	ClientID []string // what the peer id begins with, such as "-qB" (BEP 20)
	Identity []units.PeerKey
	Times    Times
}

// Range is a condition on a number. Its zero value is none.
type Range struct {
	Set         bool
	Least, Most int64 // both belong to it
}

// Holds reports whether a number lies in the range.
func (r Range) Holds(n int64) bool { return !r.Set || r.Least <= n && n <= r.Most }

// Ratio is uploaded by downloaded, in thousandths.
type Ratio int64

// String prints the ratio as the file has it.
func (r Ratio) String() string { return strconv.FormatFloat(float64(r)/1000, 'f', -1, 64) }

// Times are hours of the week in a named time zone. A nil Zone is no condition.
type Times struct {
	Zone  *time.Location
	Days  uint8  // bit 1<<time.Weekday; 0: every day
	Hours []Span // none: all day
}

// Span is a part of the day in minutes after midnight by the wall clock, To not included. One whose To is not after From
// ends on the next day, and belongs to the day on which it begins.
type Span struct{ From, To int }
