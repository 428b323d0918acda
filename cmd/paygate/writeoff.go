package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paygate/ledger"
	"paygate/lnclient"
	"paygate/units"
)

const writeOffHelp = `Gives up on a payment of which the Lightning node will never tell how it ended, and frees what is reserved for it.
HASH is its payment hash, or at least the first 8 digits of it.

It is done only if the ledger does not know the outcome, the invoice has expired, the node does not say that the payment
was made, none of the node's open channels holds an HTLC with that hash, and no part of it left over a channel that is
not open any more. Each check is shown. Nothing is changed without --yes.

Should the payment be made all the same, paygate still notices, and counts it as spent.`

// checkTime bounds what the node is asked.
const checkTime = 30 * time.Second

type writeOffOptions struct {
	hash, config  string
	yes           bool
	channelClosed bool
}

func newWriteOffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "write-off HASH", Short: "Give up on a payment whose outcome nobody will tell", Long: writeOffHelp,
		Args: cobra.ExactArgs(1),
		Example: "  paygate payments --unknown\n" +
			"  paygate payments write-off 1fa3c5d7e9b0a2c4\n" +
			"  paygate payments write-off 1fa3c5d7e9b0a2c4 --yes",
	}
	var o writeOffOptions
	path := configFlag(cmd)
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do it, if every check passes")
	cmd.Flags().BoolVar(&o.channelClosed, "channel-closed", false, "the channel that a part of it left over was closed, and `lncli pendingchannels` does not list it any more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.hash, o.config = args[0], *path
		return writeOff(cmd.Context(), cmd.OutOrStdout(), o)
	}
	return cmd
}

func writeOff(ctx context.Context, w io.Writer, o writeOffOptions) (err error) {
	cfg, err := loadConfig(o.config)
	if err != nil {
		return err
	}
	if !cfg.Lightning.Enabled() {
		return errors.New("lightning.address is not set, so nobody can be asked what became of the payment")
	}
	l, err := ledger.Open(ctx, filepath.Join(cfg.DataDir, ledgerFile), ledger.Options{Existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	p, err := findPayment(ctx, l, o.hash)
	if err != nil {
		return err
	}
	node, err := newNode(cfg.Lightning)
	if err != nil {
		return withRemedy(err)
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	x := examination{now: time.Now(), patience: cfg.Lightning.PayTimeout, channelClosed: o.channelClosed}
	return x.conclude(ctx, w, l, node, p, o.yes)
}

const shortestPrefix = 8

// findPayment finds a purchase by its hash, or by the first digits of it.
func findPayment(ctx context.Context, l *ledger.Ledger, prefix string) (found ledger.Purchase, err error) {
	prefix = strings.ToLower(prefix)
	if len(prefix) < shortestPrefix {
		return found, fmt.Errorf("%q is too short: give at least %d digits of the payment hash", prefix, shortestPrefix)
	}
	list, err := l.Purchases(ctx, math.MaxInt32)
	if err != nil {
		return found, err
	}
	matches := 0
	for _, p := range list {
		if strings.HasPrefix(p.Hash.String(), prefix) {
			found = p
			matches++
		}
	}
	switch matches {
	case 0:
		return found, fmt.Errorf("no payment has a hash that begins with %s; `paygate payments` lists them", prefix)
	case 1:
		return found, nil
	}
	return found, fmt.Errorf("%d payments have a hash that begins with %s; give more digits", matches, prefix)
}

// payer is what the node is asked before a payment is written off.
type payer interface {
	Look(ctx context.Context, hash units.PaymentHash) (lnclient.Sighting, error)
	PendingHTLC(ctx context.Context, hash units.PaymentHash) (lnclient.Holding, error)
}

// finding is one check.
type finding struct {
	ok   bool
	text string
}

func passed(format string, args ...any) finding { return finding{true, fmt.Sprintf(format, args...)} }
func failed(format string, args ...any) finding { return finding{false, fmt.Sprintf(format, args...)} }

// examination decides whether a payment may be written off.
type examination struct {
	now           time.Time
	patience      time.Duration // for which the node may go on trying after it was asked to pay
	channelClosed bool          // the owner's word
}

// conclude shows the checks and, if all pass and the owner says so, writes the payment off.
func (x examination) conclude(ctx context.Context, w io.Writer, l *ledger.Ledger, node payer, p ledger.Purchase, yes bool) error {
	fmt.Fprintf(w, "Payment %s\nof %s, at most %s for routing, to seller %s for torrent %s\n\n",
		p.Hash, p.Msat, p.FeeLimit, p.Seller.String()[:8], p.InfoHash)
	good := true
	var said []string
	for _, f := range x.examine(ctx, node, p) {
		word := "ok"
		if !f.ok {
			word, good = "NO", false
		}
		fmt.Fprintf(w, "  %s  %s\n", word, printable(f.text))
		said = append(said, f.text)
	}
	fmt.Fprintln(w)
	switch {
	case !good:
		return errors.New("nothing was changed: the payment cannot be written off")
	case !yes:
		return errors.New("nothing was changed: repeat with --yes to write the payment off")
	}
	if err := l.WriteOffPayment(ctx, p.Hash, "by the owner: "+strings.Join(said, "; ")); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "Written off. %s are free to be spent again.\n", p.Msat+p.FeeLimit)
	return err
}

// examine makes every check, also after one has failed.
func (x examination) examine(ctx context.Context, node payer, p ledger.Purchase) []finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	list := []finding{x.stateOf(p), x.expiryOf(p)}
	sight, err := node.Look(ctx, p.Hash)
	if err != nil {
		list = append(list, failed("the node cannot be asked about it: %v", withRemedy(err)))
	} else {
		list = append(list, outcomeOf(sight))
	}
	held, err := node.PendingHTLC(ctx, p.Hash)
	if err != nil {
		return append(list, failed("the node cannot be asked what its channels hold: %v", withRemedy(err)))
	}
	list = append(list, heldOf(held)...)
	return append(list, x.gone(sight, held)...)
}

func (x examination) stateOf(p ledger.Purchase) finding {
	if !p.Open() {
		return failed("nothing is reserved for it: since %s it is %s", moment(p.Updated), p.State)
	}
	text := fmt.Sprintf("its outcome is open since %s: %s", moment(p.Updated), p.State)
	if p.Reason != "" {
		text += " (" + shortened(p.Reason, 100) + ")"
	}
	return finding{true, text}
}

// expiryOf leaves the node the time for which it may still try routes for a payment that it has taken before.
func (x examination) expiryOf(p ledger.Purchase) finding {
	if over := p.Expires.Add(x.patience + time.Minute); !x.now.After(over) {
		return failed("its invoice expires at %s, and the node may try until %s", moment(p.Expires), moment(over))
	}
	return passed("its invoice has expired at %s", moment(p.Expires))
}

func outcomeOf(s lnclient.Sighting) finding {
	switch s.State {
	case lnclient.Succeeded:
		return failed("the node says that it was made; `paygate run` writes that down by itself")
	case lnclient.Failed:
		return passed("the node says that it failed (%s)", s.Reason)
	case lnclient.NeverSent:
		return passed("the node has no record of it")
	}
	return passed("the node does not say that it was made: it is in flight")
}

func heldOf(h lnclient.Holding) (list []finding) {
	for _, x := range h.HTLCs {
		list = append(list, failed("channel %s holds %s for it until block %d", channelName(x.Channel), x.Msat, x.Expiry))
	}
	if len(list) == 0 {
		list = append(list, passed("the node's open channels hold no HTLC with this hash (%s)", count(h.Count, "channel")))
	}
	return list
}

// gone looks for parts whose channel is closed or being closed, so that the chain decides about them.
func (x examination) gone(s lnclient.Sighting, h lnclient.Holding) (list []finding) {
	for _, id := range s.Channels {
		_, open := h.Names[id]
		switch {
		case open:
			list = append(list, passed("the channel that it left over, %s, is open", channelName(id)))
		case x.channelClosed:
			list = append(list, passed("the channel that it left over, %s, was closed and settled, as you say", channelName(id)))
		default:
			list = append(list, failed("channel %s, over which it left, is not open any more, and the chain may decide; "+
				"once `lncli pendingchannels` does not list it, add --channel-closed", channelName(id)))
		}
	}
	return list
}

// channelName writes a short channel id as block, transaction and output (BOLT 7).
func channelName(id uint64) string {
	return fmt.Sprintf("%dx%dx%d", id>>40, id>>16&0xffffff, id&0xffff)
}
