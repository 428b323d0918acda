package lnclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// Settlement is one payment that the node has received for good.
type Settlement struct {
	Hash        units.PaymentHash
	Msat        units.Msat // received
	SettleIndex uint64     // counts the node's settlements from 1; the cursor to resume from
	At          time.Time  // whole seconds
}

// Settlements calls fn for every settlement of the node with an index above after, in order, once, those of other
// programs too, and then for each new one as it comes. It returns when the stream ends, with a *Problem, or when fn
// errs, with fn's error wrapped; call it again with the last index that was kept. fn is called from one goroutine.
//
// lnd replays nothing for index 0 and skips a live settlement 1 for index 1, so the first ones ever, for after 0, are
// read from the list of invoices. A macaroon without the right to list gets live ones only; look open invoices up then.
func (c *Client) Settlements(ctx context.Context, after uint64, fn func(Settlement) error) error {
	if err := c.Ready(ctx); err != nil {
		return fmt.Errorf("subscribe to settlements: %w", err)
	}
	if after > 0 {
		return c.follow(ctx, after, fn)
	}
	after, err := c.listed(ctx, fn)
	if err != nil {
		return err
	}
	if after > 0 {
		return c.follow(ctx, after, fn)
	}
	return c.followFirst(ctx, fn)
}

// follow reads one subscription that resumes after an index above 0.
func (c *Client) follow(ctx context.Context, after uint64, fn func(Settlement) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.subscribe(ctx, after)
	if err != nil {
		return err
	}
	return c.read(ctx, stream, after, fn)
}

// registerPause is how long lnd may take to register a subscription, generously; its tests wait as long.
const registerPause = 250 * time.Millisecond

// followFirst reads the subscription of a node that has never settled anything. It looks at the list once more when
// the subscription stands, for one that came in between.
func (c *Client) followFirst(ctx context.Context, fn func(Settlement) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.subscribe(ctx, 0)
	if err != nil {
		return err
	}
	if err := pause(ctx, registerPause); err != nil {
		return newProblem(Other, fmt.Errorf("subscribe to settlements: %w", err))
	}
	last, err := c.listed(ctx, fn)
	if err != nil {
		return err
	}
	return c.read(ctx, stream, last, fn)
}

func (c *Client) subscribe(ctx context.Context, after uint64) (lnrpc.Lightning_SubscribeInvoicesClient, error) {
	stream, err := c.node.SubscribeInvoices(ctx, &lnrpc.InvoiceSubscription{SettleIndex: after})
	if err != nil {
		return nil, c.problem(ctx, "subscribe to settlements", err)
	}
	return stream, nil
}

// read hands settlements on until the stream ends. Open invoices, and settlements that are known, are passed over.
func (c *Client) read(ctx context.Context, stream lnrpc.Lightning_SubscribeInvoicesClient, last uint64, fn func(Settlement) error) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return newProblem(Unreachable, errors.New("follow settlements: the node ended the stream"))
		}
		if err != nil {
			return c.problem(ctx, "follow settlements", err)
		}
		if r.State != lnrpc.Invoice_SETTLED || r.SettleIndex <= last {
			continue
		}
		if err := deliver(r, fn); err != nil {
			return err
		}
		last = r.SettleIndex
	}
}

func deliver(r *lnrpc.Invoice, fn func(Settlement) error) error {
	s, err := settlementOf(r)
	if err != nil {
		return newProblem(Other, err)
	}
	if err := fn(s); err != nil {
		return fmt.Errorf("take settlement %d: %w", s.SettleIndex, err)
	}
	return nil
}

func settlementOf(r *lnrpc.Invoice) (Settlement, error) {
	s := Settlement{Msat: units.Msat(r.AmtPaidMsat), SettleIndex: r.SettleIndex, At: time.Unix(r.SettleDate, 0)}
	if len(r.RHash) != len(s.Hash) {
		return s, fmt.Errorf("settlement %d carries a payment hash of %d bytes", r.SettleIndex, len(r.RHash))
	}
	copy(s.Hash[:], r.RHash)
	return s, nil
}

// listPage is how many invoices are asked for at once.
const listPage = 1000

// listed hands on everything that was ever settled, in order, and returns the last index. Without the right to list
// it hands on nothing.
func (c *Client) listed(ctx context.Context, fn func(Settlement) error) (uint64, error) {
	settled, err := c.listSettled(ctx)
	var p *Problem
	if errors.As(err, &p) && p.Kind == Denied {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var last uint64
	for _, r := range settled {
		if err := deliver(r, fn); err != nil {
			return 0, err
		}
		last = r.SettleIndex
	}
	return last, nil
}

func (c *Client) listSettled(ctx context.Context) ([]*lnrpc.Invoice, error) {
	var settled []*lnrpc.Invoice
	for offset := uint64(0); ; {
		r, err := c.listOnePage(ctx, offset)
		if err != nil {
			return nil, err
		}
		for _, i := range r.Invoices {
			if i.State == lnrpc.Invoice_SETTLED && i.SettleIndex > 0 {
				settled = append(settled, i)
			}
		}
		if len(r.Invoices) < listPage || r.LastIndexOffset <= offset {
			break
		}
		offset = r.LastIndexOffset
	}
	slices.SortFunc(settled, func(a, b *lnrpc.Invoice) int {
		if a.SettleIndex < b.SettleIndex {
			return -1
		}
		return 1
	})
	return settled, nil
}

func (c *Client) listOnePage(ctx context.Context, offset uint64) (*lnrpc.ListInvoiceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.node.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{IndexOffset: offset, NumMaxInvoices: listPage})
	if err != nil {
		return nil, c.problem(ctx, "list invoices", err)
	}
	return r, nil
}
