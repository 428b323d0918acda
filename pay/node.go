package pay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/units"
)

const (
	metaNode    = "node"       // the ledger's note of our own node, so that peers can be greeted while it is away
	metaSince   = "node since" // and since when it has been this one
	nodeRetry   = time.Second
	nodeRecheck = 10 * time.Second
)

// node is what the Desk knows of its own end of the rail.
type node struct {
	identity atomic.Pointer[Identity]  // who it is, or was when it was last seen
	usable   atomic.Bool               // it answered the last time it was asked
	grace    atomic.Int64              // bytes that may still be given away in this outage
	since    atomic.Pointer[time.Time] // since when it is this one; nil while that is not known
}

// recallNode reads who our node was when it was last seen.
func (d *Desk) recallNode(ctx context.Context) error {
	text, err := d.ledger.Meta(ctx, metaNode)
	if err != nil {
		return fmt.Errorf("read own node: %w", err)
	}
	if key, err := units.ParseNodeKey(text); err == nil {
		d.node.identity.Store(&Identity{Node: key, Network: d.cfg.Network})
	}
	return nil
}

// watchNode asks the node again and again how it is, and tells the owner once for each change.
func (d *Desk) watchNode(ctx context.Context) {
	told, wait, well := "", nodeRetry, false
	for {
		err := d.askNode(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil && told != "":
			d.log.Info("the Lightning node is back; selling and buying go on")
			told = ""
		case err != nil && told != err.Error():
			told = err.Error()
			d.log.Warn("the Lightning node cannot be used; buying pauses, and nothing new is sold", zap.Error(err))
		}
		switch wait = min(2*wait, nodeRecheck); {
		case err == nil:
			wait = nodeRecheck
		case well:
			wait = nodeRetry // it may have been a hiccup
		}
		well = err == nil
		if !sleep(ctx, wait) {
			return
		}
	}
}

// askNode learns who and how the node is.
func (d *Desk) askNode(ctx context.Context) error {
	id, err := d.rail.Identity(ctx)
	if err == nil && id.Network != d.cfg.Network {
		err = fmt.Errorf("the node is on %s and the configuration says %s: correct lightning.network", id.Network, d.cfg.Network)
	}
	if err != nil {
		if d.node.usable.Load() {
			d.node.grace.Store(int64(d.rules().sell.GraceBytes)) // for this outage
			d.node.usable.Store(false)
			d.wakeAll()
		}
		return err
	}
	known := d.node.identity.Load()
	if known == nil || known.Node != id.Node || d.node.since.Load() == nil {
		if err := d.noteNode(ctx, known, id); err != nil {
			return err
		}
	}
	d.node.identity.Store(&id)
	if !d.node.usable.Swap(true) {
		d.wakeAll()
	}
	return nil
}

// noteNode writes down who our node is, and since when, if that has changed.
func (d *Desk) noteNode(ctx context.Context, known *Identity, id Identity) error {
	since := time.Now()
	switch {
	case known == nil:
		since = time.Unix(0, 0) // the first one ever made every payment there is
	case known.Node != id.Node:
		d.log.Warn("the Lightning node is another one than before; payments of the old one whose outcome is unknown stay reserved",
			zap.Stringer("was", known.Node), zap.Stringer("is", id.Node))
	default:
		text, err := d.ledger.Meta(ctx, metaSince)
		if err != nil {
			return err
		}
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			since = time.Unix(0, 0)
		}
	}
	err := errors.Join(d.ledger.SetMeta(ctx, metaNode, id.Node.String()), d.ledger.SetMeta(ctx, metaSince, since.UTC().Format(time.RFC3339Nano)))
	if err == nil {
		d.node.since.Store(&since)
	}
	return err
}

// identity returns our own node's, or false while it has never been seen.
func (d *Desk) identity() (Identity, bool) {
	if id := d.node.identity.Load(); id != nil {
		return *id, true
	}
	return Identity{}, false
}

// indulge takes up to n bytes of what may be given away while the node is down.
func (d *Desk) indulge(n int64) int64 {
	if d.rules().sell.OnLightningDown != "serve" || d.node.usable.Load() {
		return 0
	}
	for {
		left := d.node.grace.Load()
		got := min(n, left)
		if got <= 0 {
			return 0
		}
		if d.node.grace.CompareAndSwap(left, left-got) {
			return got
		}
	}
}
