package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"paygate/ledger"
	"paygate/units"
)

const paymentsHelp = `Lists what was paid to sellers, newest first: a table on a terminal; into a pipe, one JSON object a line, with amounts
in millisatoshi.

A payment whose outcome is open (intent, sent or unknown) counts against every cap with its largest fee until the
Lightning node has said how it ended. paygate asks for that by itself, also after a restart; there is nothing to do
but to wait. See "paygate payments write-off" for one of which the node will never tell.

It reads the ledger, and may be used while "paygate run" runs.`

type paymentsOptions struct {
	at      *place
	unknown bool
	json    bool
	limit   int
}

func newPaymentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "payments", Short: "List the payments to sellers, and those whose outcome is open", Long: paymentsHelp,
		Example: "  paygate payments -c paygate.yaml\n" +
			"  paygate payments --unknown\n" +
			"  paygate payments --limit 20\n" +
			"  paygate payments --json | jq 'select(.state == \"failed\")'",
	}
	o := paymentsOptions{at: placeFlags(cmd)}
	cmd.Flags().BoolVar(&o.unknown, "unknown", false, "only those whose outcome is open")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON on a terminal too")
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 0, "only the newest `n`; 0: all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return payments(cmd.Context(), cmd.OutOrStdout(), o)
	}
	cmd.AddCommand(newWriteOffCommand())
	return cmd
}

func payments(ctx context.Context, w io.Writer, o paymentsOptions) (err error) {
	path, err := o.at.ledger()
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, path, ledger.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	list, err := chosenPayments(ctx, l, o)
	if err != nil {
		return err
	}
	if o.json || !isTerminal(w) {
		return printPaymentsJSON(w, list)
	}
	printPayments(w, list)
	return nil
}

// chosenPayments lists what was asked for, newest first.
func chosenPayments(ctx context.Context, l *ledger.Ledger, o paymentsOptions) (list []ledger.Purchase, err error) {
	limit := o.limit
	if limit <= 0 {
		limit = math.MaxInt32
	}
	if !o.unknown {
		return l.Purchases(ctx, limit)
	}
	list, err = l.OpenPurchases(ctx)
	slices.Reverse(list)
	return list[:min(limit, len(list))], err
}

// paymentView is a purchase for programs.
type paymentView struct {
	Time     time.Time   `json:"time"`
	Updated  time.Time   `json:"updated"`
	Hash     string      `json:"payment_hash"`
	Seller   string      `json:"seller"`
	Node     string      `json:"node"`
	InfoHash string      `json:"info_hash"`
	Bytes    units.Bytes `json:"bytes"`
	Msat     units.Msat  `json:"msat"`
	Fee      units.Msat  `json:"fee_msat"`
	FeeLimit units.Msat  `json:"fee_limit_msat"`
	State    string      `json:"state"`
	Open     bool        `json:"open"`
	Reason   string      `json:"reason,omitempty"`
	Expires  time.Time   `json:"expires"`
}

func printPaymentsJSON(w io.Writer, list []ledger.Purchase) error {
	enc := json.NewEncoder(w)
	for _, p := range list {
		if err := enc.Encode(paymentView{
			Time: p.Created.UTC(), Updated: p.Updated.UTC(), Hash: p.Hash.String(), Seller: p.Seller.String(),
			Node: p.Node.String(), InfoHash: p.InfoHash.String(), Bytes: p.Buys, Msat: p.Msat, Fee: p.Fee,
			FeeLimit: p.FeeLimit, State: p.State, Open: p.Open(), Reason: p.Reason, Expires: p.Expires.UTC(),
		}); err != nil {
			return err
		}
	}
	return nil
}

// shortHash is how many digits of a payment hash the table shows, enough to name it by.
const shortHash = 16

// printPayments prints a table for a person.
func printPayments(w io.Writer, list []ledger.Purchase) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no payments")
		return
	}
	g := newGrid("time", "hash", "seller", "torrent", ">amount", ">fee", "state", "reason", "expires")
	var open int
	var reserved units.Msat
	for _, p := range list {
		if p.Open() {
			open++
			reserved += p.Msat + p.FeeLimit
		}
		g.row(moment(p.Created), p.Hash.String()[:shortHash], p.Seller.String()[:8], p.InfoHash.String()[:8],
			p.Msat.String(), feeText(p), p.State, shortened(p.Reason, 60), moment(p.Expires))
	}
	g.print(w, "")
	fmt.Fprintf(w, "\n%s; %s with an open outcome, for which %s are reserved\n", count(len(list), "payment"), count(open, "payment"), reserved)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// feeText is what routing has cost, or may cost.
func feeText(p ledger.Purchase) string {
	switch {
	case p.State == ledger.StateSucceeded:
		return p.Fee.String()
	case p.Open():
		return "≤ " + p.FeeLimit.String()
	}
	return ""
}

// shortened cuts a text to n characters.
func shortened(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
