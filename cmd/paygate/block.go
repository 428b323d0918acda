package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"paygate/admin"
	"paygate/ledger"
	"paygate/units"
)

const blockHelp = `Takes a torrent down: its connections are closed at once, and no new one is let through in either direction, whatever
the rules say, until "paygate unblock". That is written to the ledger's journal, with your reason.

Without INFOHASH it lists what is blocked. It works whether or not "paygate run" runs. A version 2 info-hash may be given
whole. A hybrid torrent has two info-hashes: if paygate does not know your client's torrents, block both.`

const unblockHelp = `Lets a blocked torrent back. The rules decide about it again.`

type blockOptions struct {
	at     *place
	reason string
	json   bool
}

func newBlockCommand() *cobra.Command {
	var o blockOptions
	cmd := &cobra.Command{
		Use: "block [INFOHASH]", Short: "Take a torrent down at once, or list what is blocked", Long: blockHelp,
		Args: cobra.MaximumNArgs(1),
		Example: "  paygate block 0123456789abcdef0123456789abcdef01234567 --reason notice-7\n" +
			"  paygate block    # what is blocked",
	}
	o.at = placeFlags(cmd)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the journal: `text`")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the list as JSON on a terminal too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return listBlocks(cmd.Context(), cmd.OutOrStdout(), o)
		}
		return changeBlock(cmd.Context(), cmd.OutOrStdout(), o, args[0], true)
	}
	return cmd
}

func newUnblockCommand() *cobra.Command {
	var o blockOptions
	cmd := &cobra.Command{
		Use: "unblock INFOHASH", Short: "Let a blocked torrent back", Long: unblockHelp, Args: cobra.ExactArgs(1),
		Example: "  paygate unblock 0123456789abcdef0123456789abcdef01234567 --reason mistake",
	}
	o.at = placeFlags(cmd)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the journal: `text`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return changeBlock(cmd.Context(), cmd.OutOrStdout(), o, args[0], false)
	}
	return cmd
}

// parseTorrent reads an info-hash of version 1, or of version 2, of which the peer wire shows the first 20 bytes (BEP 52).
func parseTorrent(s string) (units.InfoHash, error) {
	if len(s) == 64 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == "" {
		s = s[:40]
	}
	ih, err := units.ParseInfoHash(s)
	if err != nil {
		return ih, &exitError{exitConfiguration, err}
	}
	return ih, nil
}

// changeBlock tells the running paygate, or writes to the ledger itself if none runs.
func changeBlock(ctx context.Context, w io.Writer, o blockOptions, text string, block bool) error {
	ih, err := parseTorrent(text)
	if err != nil {
		return err
	}
	dir, err := o.at.directory()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := orderBlock(ctx, dir, ih, o.reason, block)
	if nobodyThere(err) {
		r, err = writeBlock(ctx, dir, ih, o.reason, block)
	}
	if err != nil {
		return err
	}
	return tellBlock(w, ih, r, block)
}

func orderBlock(ctx context.Context, dir string, ih units.InfoHash, reason string, block bool) (admin.BlockReport, error) {
	socket := filepath.Join(dir, admin.SocketName)
	if block {
		return admin.Block(ctx, socket, ih.String(), reason)
	}
	return admin.Unblock(ctx, socket, ih.String(), reason)
}

// nobodyThere reports whether no paygate runs that could have taken an order: there is no socket, or a dead one.
func nobodyThere(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// writeBlock changes the ledger of a paygate that does not run. Holding data_dir, it cannot miss one that starts.
func writeBlock(ctx context.Context, path string, ih units.InfoHash, reason string, block bool) (r admin.BlockReport, err error) {
	dir, err := openDataDir(path)
	if err != nil {
		return r, err
	}
	defer dir.Close()
	l, err := ledger.Open(ctx, dir.file(ledgerFile), ledger.Options{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	change := l.RemoveBlock
	if block {
		change = l.AddBlock
	}
	changed, err := change(ctx, ih, reason)
	if changed {
		r.Changed = []string{ih.String()}
	}
	return r, err
}

func tellBlock(w io.Writer, ih units.InfoHash, r admin.BlockReport, block bool) error {
	done, was := "blocked", "was blocked already"
	if !block {
		done, was = "not blocked any more", "was not blocked"
	}
	if len(r.Changed) == 0 {
		_, err := fmt.Fprintf(w, "%s %s\n", ih, was)
		return err
	}
	closed := ""
	if r.Closed > 0 {
		closed = "; " + count(r.Closed, "connection") + " closed"
	}
	_, err := fmt.Fprintf(w, "%s: %s%s\n", strings.Join(r.Changed, " and "), done, closed)
	return err
}

// blockView is a blocked torrent for programs.
type blockView struct {
	InfoHash string    `json:"info_hash"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"`
}

// listBlocks reads the ledger, which a running paygate goes on using.
func listBlocks(ctx context.Context, w io.Writer, o blockOptions) (err error) {
	path, err := o.at.ledger()
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, path, ledger.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	list, err := l.Blocks(ctx)
	if err != nil {
		return err
	}
	if o.json || !isTerminal(w) {
		enc := json.NewEncoder(w)
		for _, b := range list {
			if err := enc.Encode(blockView{b.InfoHash.String(), b.Since.UTC(), b.Reason}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing is blocked")
		return err
	}
	g := newGrid("torrent", "since", "reason")
	for _, b := range list {
		g.row(b.InfoHash.String(), moment(b.Since), cmp.Or(printable(b.Reason), "–"))
	}
	g.print(w, "")
	return nil
}
