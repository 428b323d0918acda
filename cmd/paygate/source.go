package main

import (
	"context"
	"errors"
	"time"

	"paygate/admin"
	"paygate/doctor"
	"paygate/lnclient"
	"paygate/pay"
	"paygate/proxy"
	"paygate/units"
)

const nodeAnswer = 2 * time.Second // how long a status waits for the Lightning node

// Status gathers one snapshot. See admin.Source.
func (s *sidecar) Status(ctx context.Context) (admin.Status, error) {
	totals, err := s.books.Totals(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	st := admin.Status{
		Version: buildVersion(), Started: s.started, Uptime: time.Since(s.started),
		Lightning: s.lightning(ctx),
		Totals: admin.Totals{
			SoldBytes: totals.SoldBytes, SampleBytes: totals.SampleBytes, Received: totals.Received,
			Earned: totals.Earned, CreditOwed: totals.CreditOwed, BoughtBytes: totals.BoughtBytes,
			FreeBytes: totals.FreeBytes, Paid: totals.Paid, Fees: totals.Fees, Pending: totals.Pending,
			CreditHeld: totals.CreditHeld, PaymentsIn: totals.PaymentsIn, PaymentsOut: totals.PaymentsOut,
			Unknown: totals.Unknown,
		},
		Waits: admin.Waits(s.desk.Waits()),
	}
	if o, only := s.desk.Observed(); only {
		st.Observed = &admin.Observed{SoldBytes: o.SoldBytes, Earned: o.Earned, BoughtBytes: o.BoughtBytes, Spent: o.Spent}
	}
	dropped, err := s.desk.Dropped(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	for _, d := range dropped {
		st.Dropped = append(st.Dropped, admin.Dropped{
			Seller: d.Seller.String(), InfoHash: d.InfoHash.String(), Reason: d.Reason, Times: d.Times,
			Since: d.Latest, Until: d.Until, Held: d.Held,
		})
	}
	talks := s.desk.Talks()
	for _, f := range s.fronts {
		c := f.status()
		st.Clients = append(st.Clients, c)
		for _, p := range f.sessions() {
			one := session(p, talks[p.ID])
			one.Client = c.Name
			st.Sessions = append(st.Sessions, one)
		}
	}
	st.Peers, st.SOCKS5 = st.Clients[0].Peers, st.Clients[0].SOCKS5
	st.Torrents = s.torrents(st.Sessions)
	return st, nil
}

func session(p proxy.SessionInfo, t pay.Talk) admin.Session {
	names := map[proxy.Treatment]string{proxy.Free: "free", proxy.Watched: "watched", proxy.Gated: "gated"}
	one := admin.Session{
		ID: p.ID, Remote: p.Remote.String(), InfoHash: p.InfoHash.String(), Outbound: p.Initiator,
		Treatment: names[p.Treatment], Gate: p.Valve, Paying: t.Paying, Balance: t.Balance,
		Age: time.Since(p.Since), In: p.In, Out: p.Out,
		RemoteEncrypted: p.RemoteEncrypted, ClientEncrypted: p.ClientEncrypted,
	}
	if w := admin.Waits(t.Waits); w != (admin.Waits{}) {
		one.Waits = &w
	}
	return one
}

func (s *sidecar) torrents(sessions []admin.Session) []admin.Torrent {
	at := make(map[string]int)
	var out []admin.Torrent
	for _, x := range sessions {
		i, ok := at[x.InfoHash]
		if !ok {
			i = len(out)
			at[x.InfoHash] = i
			out = append(out, s.torrent(x.InfoHash))
		}
		out[i].Sessions++
		out[i].In += x.In
		out[i].Out += x.Out
	}
	return out
}

func (s *sidecar) torrent(infoHash string) admin.Torrent {
	t := admin.Torrent{InfoHash: infoHash}
	if ih, err := units.ParseInfoHash(infoHash); err == nil {
		t.Rule, t.Price = s.desk.Pricing(ih)
	}
	return t
}

// Ready says whether all that the configuration asks for can be done. See admin.Source.
func (s *sidecar) Ready(ctx context.Context) error {
	if s.node == nil {
		return doctor.Ready(ctx, s.current(), doctor.ThisMachine(), nil)
	}
	return doctor.Ready(ctx, s.current(), doctor.ThisMachine(), s.node)
}

// lightning asks the node how it is.
func (s *sidecar) lightning(ctx context.Context) admin.Lightning {
	if s.node == nil {
		return admin.Lightning{State: "off", Remedy: "set lightning.address to sell or buy"}
	}
	ctx, cancel := context.WithTimeout(ctx, nodeAnswer)
	defer cancel()
	info, err := s.askNode(ctx)
	if err == nil {
		return admin.Lightning{State: "ready", Alias: info.Alias, Network: info.Network}
	}
	var p *lnclient.Problem
	if errors.As(err, &p) {
		return admin.Lightning{State: p.Kind.String(), Network: s.cfg.Lightning.Network, Remedy: p.Remedy}
	}
	return admin.Lightning{State: "unknown", Remedy: err.Error()}
}

func (s *sidecar) askNode(ctx context.Context) (lnclient.Info, error) {
	if err := s.node.Ready(ctx); err != nil {
		return lnclient.Info{}, err
	}
	return s.node.Info(ctx)
}
