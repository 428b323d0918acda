package admin

import (
	"context"
	"time"

	"paygate/units"
)

// SocketName is the file name of the socket inside data_dir.
const SocketName = "paygate.sock"

// Source knows what paygate is doing right now. Its methods must be safe for concurrent use and end with ctx.
type Source interface {
	Status(ctx context.Context) (Status, error)
	// Ready returns nil if paygate can do all that it is there for, else an error that says in one line what is wrong
	// and what to do about it.
	Ready(ctx context.Context) error
}

// Status is one snapshot. Amounts are in millisatoshi, sizes in bytes, rates in bytes per second. Peers and SOCKS5 are
// the addresses that paygate listens on for the first client; empty: none.
type Status struct {
	Version   string        `json:"version"`
	Started   time.Time     `json:"started"`
	Uptime    time.Duration `json:"uptime_ns"`
	Peers     string        `json:"peers"`
	SOCKS5    string        `json:"socks5"`
	Clients   []Client      `json:"clients"`
	Lightning Lightning     `json:"lightning"`
	Totals    Totals        `json:"totals"`
	Waits     Waits         `json:"waits"`
	Observed  *Observed     `json:"observed,omitempty"` // only with observe: true
	Dropped   []Dropped     `json:"dropped,omitempty"`  // sellers to which nothing is paid now, the latest first
	Sessions  []Session     `json:"sessions"`
	Torrents  []Torrent     `json:"torrents"`
}

// Lightning is the state of the node. State is "off", "ready", or a short word for what is wrong, and Remedy then
// says what to do about it.
type Lightning struct {
	State   string `json:"state"`
	Alias   string `json:"alias,omitempty"`
	Network string `json:"network,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
}

// Client is one BitTorrent client and what paygate listens on for it. Name is empty if the configuration gives none;
// addresses are host:port, empty: none. State is empty for a client that cannot be asked, else "answers" or a short word
// for what is wrong, and Remedy then says what to do about it.
type Client struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Peers   string `json:"peers"`
	SOCKS5  string `json:"socks5"`

	HTTP     string `json:"http,omitempty"`
	Redirect string `json:"redirect,omitempty"`
	TProxy   string `json:"tproxy,omitempty"`

	Kind       string `json:"kind,omitempty"`
	Version    string `json:"version,omitempty"`
	State      string `json:"state,omitempty"`
	Remedy     string `json:"remedy,omitempty"`
	InfoHashes int    `json:"info_hashes"` // known ones

	Past units.Bytes `json:"past_paygate_bytes,omitempty"` // uploaded by the client without passing paygate
}

// Totals are the sums over the whole ledger. CreditOwed was paid to us and is not served yet; CreditHeld was paid by
// us and is not delivered yet. Unknown counts payments whose outcome Lightning has not told yet.
type Totals struct {
	SoldBytes   units.Bytes `json:"sold_bytes"`
	SampleBytes units.Bytes `json:"sample_bytes"`
	Received    units.Msat  `json:"received_msat"`
	Earned      units.Msat  `json:"earned_msat"`
	CreditOwed  units.Msat  `json:"credit_owed_msat"`
	BoughtBytes units.Bytes `json:"bought_bytes"`
	FreeBytes   units.Bytes `json:"free_bytes"`
	Paid        units.Msat  `json:"paid_msat"`
	Fees        units.Msat  `json:"fees_msat"`
	Pending     units.Msat  `json:"pending_msat"`
	CreditHeld  units.Msat  `json:"credit_held_msat"`
	PaymentsIn  int         `json:"payments_in"`
	PaymentsOut int         `json:"payments_out"`
	Unknown     int         `json:"payments_unknown"`
}

// Waits is how long buyers have waited for their own payments since the start, added up over all connections: before the
// first one of each, and later, when they had asked for more than they had paid for.
type Waits struct {
	First time.Duration `json:"first_ns"`
	Later time.Duration `json:"later_ns"`
}

// Dropped is a seller to which nothing is paid until a time, since the client has dropped it for bad data, the latest time
// on that torrent and for that reason. What it holds of ours counts as lost until it is delivered.
type Dropped struct {
	Seller   string     `json:"seller"`
	InfoHash string     `json:"info_hash"`
	Reason   string     `json:"reason"`
	Times    int        `json:"times"`
	Since    time.Time  `json:"since"`
	Until    time.Time  `json:"until"`
	Held     units.Msat `json:"held_msat"`
}

// Session is one relayed connection. Treatment is "free", "watched" or "gated"; Gate is "", "closed", "offered" or
// "open"; Paying is "", "sell", "buy" or "legacy".
type Session struct {
	ID        uint64        `json:"id"`
	Remote    string        `json:"remote"`
	InfoHash  string        `json:"info_hash"`
	Outbound  bool          `json:"outbound"`
	Treatment string        `json:"treatment"`
	Gate      string        `json:"gate,omitempty"`
	Paying    string        `json:"paying,omitempty"`
	Age       time.Duration `json:"age_ns"`
	In        units.Bytes   `json:"in_bytes"`
	Out       units.Bytes   `json:"out_bytes"`
	Balance   units.Msat    `json:"balance_msat"`
	Client    string        `json:"client,omitempty"` // the client's name
	Waits     *Waits        `json:"waits,omitempty"`  // of a buyer

	RemoteEncrypted bool `json:"remote_encrypted,omitempty"` // paygate encrypts towards the remote
	ClientEncrypted bool `json:"client_encrypted,omitempty"` // and towards the client
}

// Torrent sums up the live sessions of one torrent under the rule that prices it.
type Torrent struct {
	InfoHash string      `json:"info_hash"`
	Rule     string      `json:"rule,omitempty"`
	Price    string      `json:"price,omitempty"`
	Sessions int         `json:"sessions"`
	In       units.Bytes `json:"in_bytes"`
	Out      units.Bytes `json:"out_bytes"`
}

// Observed is what the rules would have earned and spent since the start, had they been in force: Earned if every peer had
// paid, and Spent at most.
type Observed struct {
	SoldBytes   units.Bytes `json:"sold_bytes"`
	Earned      units.Msat  `json:"earned_msat"`
	BoughtBytes units.Bytes `json:"bought_bytes"`
	Spent       units.Msat  `json:"spent_msat"`
}
