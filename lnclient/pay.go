package lnclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"paygate/units"
)

const (
	defaultPayTimeout = time.Minute
	// answerGrace is how much longer than its timeout lnd is heard. Its timeout ends only the search for routes; a part
	// that is out stays out, so this is no promise of an answer.
	answerGrace = 15 * time.Second
)

// Pay hands a payment to lnd and waits for its terminal state, at most Timeout and some seconds. Use it once for a hash;
// a hash that lnd has already is tracked instead. With a nil error the outcome is Succeeded or Failed. An error means
// that the outcome is unknown (InFlight) and Track must be asked, unless it is a *Refused: then this call sent nothing.
func (c *Client) Pay(ctx context.Context, p Payment) (Outcome, error) {
	req, err := c.payRequest(p)
	if err != nil {
		return Outcome{}, &Refused{Reason: RefusedRequest, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(req.TimeoutSeconds)*time.Second+answerGrace)
	defer cancel()
	stream, err := c.send(ctx, req)
	if err != nil {
		return Outcome{}, err
	}
	out, taken, err := await(stream)
	switch {
	case err == nil:
		return out, nil
	case taken:
		return Outcome{}, c.streamProblem(ctx, "pay", err)
	}
	return c.settleError(ctx, p, err)
}

// payRequest checks that the request says what the caller thinks, and puts it in lnd's words.
func (c *Client) payRequest(p Payment) (*routerrpc.SendPaymentRequest, error) {
	d, err := Decode(p.Request, c.network)
	if err != nil {
		return nil, err
	}
	if d.Hash != p.Hash || d.AMP || !d.HasMsat || p.FeeLimit < 0 || p.CLTVLimit < 0 {
		return nil, newProblem(Other, fmt.Errorf("check payment: hash %s and its limits do not fit the request", p.Hash))
	}
	timeout := p.Timeout
	if timeout == 0 {
		timeout = defaultPayTimeout
	}
	return &routerrpc.SendPaymentRequest{
		PaymentRequest: p.Request,
		FeeLimitMsat:   int64(p.FeeLimit),
		TimeoutSeconds: int32(max(timeout, time.Second) / time.Second),
		CltvLimit:      p.CLTVLimit,
		MaxParts:       max(p.MaxParts, 1),
	}, nil
}

// send opens the stream and puts the request on it, in two steps: until the second begins, lnd cannot have seen it,
// so that a node that is down refuses a payment instead of leaving it unknown.
func (c *Client) send(ctx context.Context, req *routerrpc.SendPaymentRequest) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: "SendPaymentV2", ServerStreams: true}
	stream, err := c.conn.NewStream(ctx, desc, uriSendPayment)
	if err != nil {
		return nil, &Refused{Reason: RefusedNotAsked, Err: c.problem(ctx, "send payment", err)}
	}
	if err := stream.SendMsg(req); err != nil && !errors.Is(err, io.EOF) {
		return nil, c.problem(ctx, "send payment", err)
	}
	if err := stream.CloseSend(); err != nil {
		return nil, c.problem(ctx, "send payment", err)
	}
	return stream, nil
}

var errStreamEnded = errors.New("the node ended the stream before the payment")

// await reads updates until a terminal one. taken tells whether there was any, so whether lnd has the payment.
func await(stream grpc.ClientStream) (out Outcome, taken bool, err error) {
	for ; ; taken = true {
		var p lnrpc.Payment
		if err := stream.RecvMsg(&p); err != nil {
			if errors.Is(err, io.EOF) {
				err = errStreamEnded
			}
			return Outcome{}, taken, err
		}
		out, terminal, err := outcomeOf(&p)
		if terminal || err != nil {
			return out, true, err
		}
	}
}

// settleError decides what an error means that came before any update. lnd looks at the expiry before it looks whether it
// knows the hash, so a refusal over the request itself counts only if lnd has no record either.
func (c *Client) settleError(ctx context.Context, p Payment, err error) (Outcome, error) {
	if hasCode(err, codes.AlreadyExists) {
		return c.Track(ctx, p.Hash)
	}
	problem := c.streamProblem(ctx, "pay", err)
	reason, refused := refusalOf(err)
	if !refused {
		return Outcome{}, problem
	}
	if reason == RefusedExpired {
		known, err := c.trackOnce(ctx, p.Hash)
		if err != nil || known.State != NeverSent {
			return known, err
		}
	}
	return Outcome{}, &Refused{Reason: reason, Err: problem}
}

const (
	trackPauseMin = 200 * time.Millisecond
	trackPauseMax = 3 * time.Second
	// neverPause is how long a request may wait inside a node after its connection broke, before lnd has made a record.
	neverPause = time.Second
)

// Track waits for the terminal state of a payment until ctx ends, through outages of the node. With a nil error the
// outcome is Succeeded, Failed or NeverSent; otherwise it is InFlight. NeverSent is lnd's word, given twice a second
// apart, that it has no record: while a call of Pay with that hash is still under way it proves nothing.
func (c *Client) Track(ctx context.Context, hash units.PaymentHash) (Outcome, error) {
	out, err := c.trackThrough(ctx, hash)
	if err != nil || out.State != NeverSent {
		return out, err
	}
	if err := pause(ctx, neverPause); err != nil {
		return Outcome{}, newProblem(Other, fmt.Errorf("track payment: %w", err))
	}
	return c.trackThrough(ctx, hash)
}

// trackThrough asks again for as long as the node is out.
func (c *Client) trackThrough(ctx context.Context, hash units.PaymentHash) (Outcome, error) {
	for wait := trackPauseMin; ; wait = min(2*wait, trackPauseMax) {
		out, err := c.trackOnce(ctx, hash)
		var p *Problem
		if err == nil || ctx.Err() != nil || !errors.As(err, &p) || !p.Kind.Passing() {
			return out, err
		}
		if pause(ctx, wait) != nil {
			return Outcome{}, c.streamProblem(ctx, "track payment", err)
		}
	}
}

// pause waits, and tells if ctx ended first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *Client) trackOnce(ctx context.Context, hash units.PaymentHash) (Outcome, error) {
	stream, err := c.router.TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: hash[:]})
	if err != nil {
		return Outcome{}, c.streamProblem(ctx, "track payment", err)
	}
	out, _, err := await(stream)
	if hasCode(err, codes.NotFound) {
		return Outcome{State: NeverSent}, nil
	}
	if errors.Is(err, errStreamEnded) {
		return Outcome{}, newProblem(Unreachable, fmt.Errorf("track payment: %w", err))
	}
	if err != nil {
		return Outcome{}, c.streamProblem(ctx, "track payment", err)
	}
	return out, nil
}
