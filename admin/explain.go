package admin

import (
	"context"
	"time"
)

// Question asks what the rules make of a peer on a torrent. What is empty is left to what paygate knows itself.
type Question struct {
	Torrent  string   `json:"info_hash"`
	Peer     string   `json:"peer,omitempty"` // its address
	ClientID string   `json:"client_id,omitempty"`
	Identity string   `json:"identity,omitempty"`
	Country  string   `json:"country,omitempty"`
	At       string   `json:"at,omitempty"` // RFC 3339
	Category *string  `json:"category,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Trackers []string `json:"trackers,omitempty"` // hosts
	Private  *bool    `json:"private,omitempty"`
	Size     int64    `json:"size_bytes,omitempty"`
	Age      int64    `json:"age_seconds,omitempty"`
	Seeds    *int     `json:"seeds,omitempty"`
	Ratio    *float64 `json:"ratio,omitempty"`
}

// Explanation is what the rules make of it, and why.
type Explanation struct {
	InfoHash  string    `json:"info_hash"`
	Peer      string    `json:"peer,omitempty"`
	At        time.Time `json:"at"`
	Running   bool      `json:"running"`   // a running paygate tells it; false: the configuration file alone
	Connected bool      `json:"connected"` // the peer is connected on this torrent now
	Blocked   bool      `json:"blocked"`   // by `paygate block`, whatever the rules say
	Observe   bool      `json:"observe"`   // nothing is charged or paid in truth
	Facts     []Fact    `json:"facts"`
	Sell      Verdict   `json:"sell"`
	Buy       Verdict   `json:"buy"`
	NotNow    string    `json:"not_now,omitempty"` // why nothing is bought of a connected peer at the moment
}

// Fact is one thing that is known; what is not known is no Fact.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Verdict is what one list of rules decides.
type Verdict struct {
	Decision  string `json:"decision"` // charged, free or denied; bought or not-bought
	Rule      string `json:"rule,omitempty"`
	Line      int    `json:"line,omitempty"` // of Rule in the file
	PriceMsat int64  `json:"price_msat,omitempty"`
	PerBytes  int64  `json:"per_bytes,omitempty"`
	Price     string `json:"price,omitempty"`
	Reason    string `json:"reason,omitempty"` // why a rule that has a price is not applied
	Steps     []Step `json:"rules"`            // in order, up to the one that matches
}

// Step is one rule that was held against the peer.
type Step struct {
	Rule    string `json:"rule"`
	Line    int    `json:"line"`
	Matches bool   `json:"matches"`
	Tests   []Test `json:"conditions"`
}

// Test is one condition of a rule.
type Test struct {
	Fact  string `json:"fact"`
	Wants string `json:"wants"`
	Saw   string `json:"saw"` // "unknown" if it is
	Holds bool   `json:"holds"`
}

// Explain asks the paygate that listens on the socket.
func Explain(ctx context.Context, socketPath string, q Question) (e Explanation, err error) {
	err = post(ctx, socketPath, "/explain", q, &e)
	return e, err
}
