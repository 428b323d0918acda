package main

import (
	"fmt"
	"net/netip"
	"time"

	"paygate/admin"
	"paygate/client"
	"paygate/policy"
	"paygate/units"
)

// asked is a question that could be read.
type asked struct {
	admin.Question
	infoHash units.InfoHash
	remote   netip.Addr
	identity units.PeerKey
	at       time.Time
}

func readAsked(q admin.Question) (a asked, err error) {
	a.Question = q
	if a.infoHash, err = parseTorrent(q.Torrent); err != nil {
		return a, fmt.Errorf("--torrent: %w", err)
	}
	if q.Peer != "" {
		if a.remote, err = netip.ParseAddr(q.Peer); err != nil {
			return a, fmt.Errorf("--peer: %q is not an IP address", q.Peer)
		}
	}
	if q.Identity != "" {
		if a.identity, err = units.ParsePeerKey(q.Identity); err != nil {
			return a, fmt.Errorf("--identity: %w", err)
		}
	}
	if q.At != "" {
		a.at, err = time.Parse(time.RFC3339, q.At)
	}
	return a, err
}

// tell puts what the question says in the place of what is known.
func (a asked) tell(f *policy.Facts) {
	if a.ClientID != "" {
		f.ClientID = a.ClientID
	}
	if !a.identity.IsZero() {
		f.Identity = a.identity
	}
	if a.Country != "" {
		f.Country = a.Country
	}
	if !a.at.IsZero() {
		f.Now = a.at
	}
	t := client.Torrent{Hashes: []units.InfoHash{a.infoHash}, Seeds: -1, Ratio: -1}
	if f.Torrent != nil {
		t = *f.Torrent
	}
	if a.tellTorrent(&t, f.Now) {
		f.Torrent = &t
	}
}

// tellTorrent reports whether the question says anything about the torrent.
func (a asked) tellTorrent(t *client.Torrent, now time.Time) (said bool) {
	if a.Category != nil {
		t.Category, said = *a.Category, true
	}
	if len(a.Tags) > 0 {
		t.Tags, said = a.Tags, true
	}
	if len(a.Trackers) > 0 {
		t.Trackers, said = nil, true
		for _, host := range a.Trackers {
			t.Trackers = append(t.Trackers, "udp://"+host)
		}
	}
	if a.Private != nil {
		t.Private, t.PrivateKnown, said = *a.Private, true, true
	}
	if a.Size > 0 {
		t.Size, said = units.Bytes(a.Size), true
	}
	if a.Age > 0 {
		t.Added, said = now.Add(-time.Duration(a.Age)*time.Second), true
	}
	if a.Seeds != nil {
		t.Seeds, said = *a.Seeds, true
	}
	if a.Ratio != nil {
		t.Ratio, t.ProgressKnown, said = *a.Ratio, true, true
	}
	return said
}

func explanation(a asked, f policy.Facts, sell policy.Decision, buy policy.BuyDecision) admin.Explanation {
	e := admin.Explanation{InfoHash: a.infoHash.String(), At: f.Now}
	if a.remote.IsValid() {
		e.Peer = a.remote.String()
	}
	for _, k := range f.List() {
		e.Facts = append(e.Facts, admin.Fact{Name: k.Name, Value: k.Value})
	}
	e.Sell = verdict("charged", sell.Price, sell.Reason, sell.Why)
	switch {
	case sell.Deny:
		e.Sell.Decision = "denied"
	case sell.Free:
		e.Sell.Decision = "free"
	}
	e.Buy = verdict("bought", buy.Max, buy.Reason, buy.Why)
	if !buy.Pay {
		e.Buy.Decision = "not-bought"
	}
	return e
}

func verdict(decision string, price units.Price, reason string, steps []policy.Step) admin.Verdict {
	v := admin.Verdict{Decision: decision, Reason: reason, Steps: []admin.Step{}}
	if !price.Free() {
		v.Price, v.PriceMsat, v.PerBytes = price.String(), int64(price.Msat), int64(price.Per)
	}
	for _, s := range steps {
		step := admin.Step{Rule: s.Rule, Line: s.Line, Matches: s.Matches, Tests: []admin.Test{}}
		for _, t := range s.Tests {
			step.Tests = append(step.Tests, admin.Test{Fact: t.Fact, Wants: t.Want, Saw: t.Saw, Holds: t.Holds})
		}
		if v.Steps = append(v.Steps, step); s.Matches {
			v.Rule, v.Line = s.Rule, s.Line
		}
	}
	return v
}
