package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"paygate/proxy/announce"
	"paygate/units"
)

// hearTracker takes the peers out of a tracker's answer, if paygate is to dial them instead of the client. An answer that cannot be
// read passes as it is.
func (p *Proxy) hearTracker(tracker netip.Addr, asked announce.Request, resp *http.Response) error {
	if p.swarms == nil || resp.StatusCode != http.StatusOK && !asked.Stopped {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("the tracker's answer: %w", err)
	}
	if len(body) > maxAnswer {
		resp.Body = restOf{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		return nil
	}
	plain := body
	encoding := resp.Header.Get("Content-Encoding")
	if strings.EqualFold(encoding, "gzip") {
		if plain, err = announce.Unzip(body, maxAnswer); err != nil {
			plain = nil
		}
	}
	answer, emptied, err := announce.ReadAnswer(plain)
	if err == nil {
		body = emptied
		resp.Header.Del("Content-Encoding")
	} else if !asked.Stopped && p.quiet.Allow() {
		p.log.Info("a tracker's answer passes unread; the peers in it are not dialled",
			zap.Stringer("info_hash", asked.InfoHash), zap.String("encoding", encoding), zap.Error(err))
	}
	p.leaveOutNear(tracker, asked, &answer)
	if p.swarms.heard(asked, answer, time.Now()) {
		p.log.Info("the peers of a torrent are dialled for the client", zap.Stringer("info_hash", asked.InfoHash), zap.Int("peers", len(answer.Peers)))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength, resp.TransferEncoding = int64(len(body)), nil
	return nil
}

// leaveOutNear takes the addresses out of a tracker's answer that reach less far than the tracker's own, and, if that is a
// public one, those of this machine: or any tracker could have us connect to what listens only here or in our network.
func (p *Proxy) leaveOutNear(tracker netip.Addr, asked announce.Request, a *announce.Answer) {
	from := scopeOf(tracker)
	if from == machine {
		return
	}
	named := len(a.Peers)
	a.Peers = slices.DeleteFunc(a.Peers, func(peer netip.AddrPort) bool {
		return scopeOf(peer.Addr()) > from || from == worldwide && isOwn(peer.Addr().Unmap())
	})
	if left := named - len(a.Peers); left > 0 && p.quiet.Allow() {
		p.log.Info("a tracker names peers nearer than itself; they are not dialled",
			zap.Stringer("info_hash", asked.InfoHash), zap.Stringer("tracker", tracker), zap.Int("peers", left))
	}
}

// onlyGzip takes out of the Accept-Encoding of a request's head, in place, what an answer that paygate is to read must not come in: all
// but gzip and no encoding.
func onlyGzip(head []byte) []byte {
	const name = "accept-encoding:"
	out := head[:0]
	for line := range bytes.Lines(head) {
		if len(line) < len(name) || !strings.EqualFold(string(line[:len(name)]), name) {
			out = append(out, line...)
			continue
		}
		value := bytes.TrimRight(line[len(name):], "\r\n")
		end := line[len(name)+len(value):]
		var kept [][]byte
		for token := range bytes.SplitSeq(value, []byte(",")) {
			coding, _, _ := bytes.Cut(token, []byte(";"))
			if c := strings.ToLower(string(bytes.TrimSpace(coding))); c == "gzip" || c == "identity" {
				kept = append(kept, token)
			}
		}
		if kept == nil {
			continue // then the server may choose, and chooses none
		}
		value, end = bytes.Clone(bytes.Join(kept, []byte(","))), bytes.Clone(end)
		out = append(append(append(out, line[:len(name)]...), value...), end...)
	}
	return out
}

// restOf reads from one and closes another.
type restOf struct {
	io.Reader
	io.Closer
}

// seek dials the peers that trackers tell of, until ctx ends.
func (p *Proxy) seek(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.swarms.wake:
		case <-timer.C:
		}
		list, again := p.swarms.due(time.Now(), p.connected())
		for _, a := range list {
			p.wg.Go(func() { p.attempt(ctx, a) })
		}
		timer.Reset(again)
	}
}

// connected returns a function that knows which remotes have a session for which torrent at this moment.
func (p *Proxy) connected() func(units.InfoHash, netip.Addr) bool {
	type key struct {
		hash units.InfoHash
		addr netip.Addr
	}
	have := map[key]bool{}
	for _, s := range p.alive() {
		have[key{s.InfoHash(), subscriber(s.Remote().Addr())}] = true
	}
	return func(h units.InfoHash, a netip.Addr) bool { return have[key{h, subscriber(a)}] }
}

// attempt dials one peer, then the client, and serves the session.
func (p *Proxy) attempt(ctx context.Context, a *attempt) {
	var lived time.Duration
	began := time.Now()
	err := func() error {
		slot, err := p.limits.outbound()
		if err != nil {
			return err
		}
		defer slot.free()
		remote, err := p.dialRemote(ctx, a.addr.String())
		p.swarms.dialled(a)
		if err != nil {
			return err
		}
		defer remote.Close()
		began = time.Now()
		defer func() { lived = time.Since(began) }()
		return p.join(ctx, a.hash, a.addr, remote)
	}()
	var unreachable *socksError
	if err != nil && ctx.Err() == nil && !errors.As(err, &unreachable) { // half of a swarm is
		p.refused(a.addr, fmt.Errorf("connect the client to a peer that the tracker names: %w", err))
	}
	p.swarms.end(a, lived, time.Now(), rand.Float64())
}

// isSelf reports whether an address is where our own swarm finds us, as far as this machine knows. The unspecified address
// stands for any of ours.
func (p *Proxy) isSelf(a netip.AddrPort) bool {
	if a.Port() != p.cfg.PublicPort {
		return false
	}
	if a.Addr().IsUnspecified() {
		return true
	}
	if p.peers != nil {
		if at := addrPort(p.peers.Addr()).Addr(); !at.IsUnspecified() {
			return a.Addr() == at
		}
	}
	return isOwn(a.Addr())
}
