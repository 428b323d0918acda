package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paygate/admin"
	"paygate/config"
	"paygate/country"
	"paygate/policy"
	"paygate/units"
)

const explainHelp = `Says what the rules make of a peer on a torrent, and why: each rule in its order, each of its conditions with what it
wants and what was seen, the first rule that matches, and what becomes of the peer.

It asks the paygate that runs with this configuration, which knows what the client tells of the torrent and who is
connected. If none runs, or with --file, it goes by the configuration file and by what you tell. What you tell goes before
what paygate knows: so you can ask about peers that are not there, torrents that you do not have, and other times.

Nothing is changed. On a terminal it prints tables; into a pipe, one JSON object.`

const explainExample = `  paygate explain --torrent 0123456789abcdef0123456789abcdef01234567 --peer 192.0.2.7
  paygate explain --file --torrent 0123456789abcdef0123456789abcdef01234567 --category films --private=false
  paygate explain --torrent 0123456789abcdef0123456789abcdef01234567 --at 2024-05-01T23:30:00+02:00 | jq .sell.decision`

type explainOptions struct {
	config, socket string
	file, json     bool
	torrent, peer  string
	clientID       string
	identity       string
	country        string
	at             string
	category       string
	tags, trackers []string
	private        bool
	size           string
	age            time.Duration
	seeds          int
	ratio          float64
}

func newExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain", Short: "Say what the rules make of a peer, and why", Long: explainHelp, Example: explainExample,
	}
	path := configFlag(cmd)
	o := explainFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.config = *path
		q, err := o.question(cmd.Flags().Changed)
		if err != nil {
			return usageError(cmd, err)
		}
		return explain(cmd.Context(), cmd.OutOrStdout(), *o, q)
	}
	return cmd
}

// explainFlags adds the flags that describe a peer and a torrent.
func explainFlags(cmd *cobra.Command) *explainOptions {
	var o explainOptions
	f := cmd.Flags()
	f.StringVar(&o.torrent, "torrent", "", "`info-hash`, 40 digits (v1) or 64 (v2)")
	f.StringVar(&o.peer, "peer", "", "the peer's `address`")
	f.StringVar(&o.clientID, "client-id", "", "what its peer `id` begins with, such as -qB4520-")
	f.StringVar(&o.identity, "identity", "", "the `key` that it proves as a buyer")
	f.StringVar(&o.country, "country", "", "its `country`, in two letters")
	f.StringVar(&o.at, "at", "", "`time`, as 2024-05-01T23:30:00+02:00 or \"2024-05-01 23:30\" of this machine's zone")
	f.StringVar(&o.category, "category", "", "the torrent's `category`")
	f.StringSliceVar(&o.tags, "tag", nil, "its `tags`")
	f.StringSliceVar(&o.trackers, "tracker", nil, "the `hosts` of its trackers")
	f.BoolVar(&o.private, "private", false, "whether it is flagged private")
	f.StringVar(&o.size, "size", "", "its `size`, such as \"4 GiB\"")
	f.DurationVar(&o.age, "age", 0, "how long the client has had it, such as 720h")
	f.IntVar(&o.seeds, "seeds", 0, "seeds in the swarm")
	f.Float64Var(&o.ratio, "ratio", 0, "the client's own ratio on it")
	f.BoolVar(&o.file, "file", false, "go by the configuration file alone, even if paygate runs")
	f.StringVar(&o.socket, "socket", "", "ask at this `path` instead of the one that the configuration implies")
	f.BoolVar(&o.json, "json", false, "print JSON on a terminal too")
	return &o
}

// question writes down what was told on the command line.
func (o explainOptions) question(told func(flag string) bool) (admin.Question, error) {
	q := admin.Question{
		Torrent: o.torrent, Peer: o.peer, ClientID: o.clientID, Identity: o.identity, Country: strings.ToUpper(o.country),
		Tags: o.tags, Trackers: o.trackers, Age: int64(o.age / time.Second),
	}
	if o.torrent == "" {
		return q, errors.New("which torrent? Give --torrent an info-hash")
	}
	if told("category") {
		q.Category = &o.category
	}
	if told("private") {
		q.Private = &o.private
	}
	if told("seeds") {
		q.Seeds = &o.seeds
	}
	if told("ratio") {
		q.Ratio = &o.ratio
	}
	if o.size != "" {
		b, err := units.ParseBytes(o.size)
		if err != nil {
			return q, fmt.Errorf("--size: %w", err)
		}
		q.Size = int64(b)
	}
	if o.at != "" {
		at, err := time.Parse(time.RFC3339, o.at)
		if err != nil {
			at, err = time.ParseInLocation("2006-01-02 15:04", o.at, time.Local)
		}
		if err != nil {
			return q, fmt.Errorf(`--at: %q is neither such as 2024-05-01T23:30:00+02:00 nor such as "2024-05-01 23:30"`, o.at)
		}
		q.At = at.Format(time.RFC3339)
	}
	_, err := readAsked(q)
	return q, err
}

func explain(ctx context.Context, w io.Writer, o explainOptions, q admin.Question) error {
	e, err := ask(ctx, o, q)
	if err != nil {
		return err
	}
	if !isTerminal(w) || o.json {
		return json.NewEncoder(w).Encode(e)
	}
	printExplanation(w, e)
	return nil
}

// ask asks the running paygate, and the file if there is none.
func ask(ctx context.Context, o explainOptions, q admin.Question) (admin.Explanation, error) {
	if o.socket != "" && !o.file {
		e, err := askRunning(ctx, o.socket, q)
		if err != nil {
			err = notRunning(err)
		}
		return e, err
	}
	c, err := loadConfig(o.config)
	if err != nil {
		return admin.Explanation{}, err
	}
	if !o.file {
		e, err := askRunning(ctx, filepath.Join(c.DataDir, admin.SocketName), q)
		if !nobodyThere(err) {
			return e, err
		}
	}
	return askFile(c, q)
}

func askRunning(ctx context.Context, socket string, q admin.Question) (admin.Explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return admin.Explain(ctx, socket, q)
}

// askFile goes by a configuration and by what the question tells.
func askFile(c *config.Config, q admin.Question) (admin.Explanation, error) {
	a, err := readAsked(q)
	if err != nil {
		return admin.Explanation{}, err
	}
	f := policy.Facts{InfoHashes: []units.InfoHash{a.infoHash}, Remote: a.remote, Now: time.Now()}
	if c.GeoIP != "" {
		countries, err := country.Open(c.GeoIP)
		if err != nil {
			return admin.Explanation{}, err
		}
		f.Country = countries.Of(a.remote)
	}
	a.tell(&f)
	e := explanation(a, f, policy.NewSelling(c.Sell).Explain(f), policy.NewBuying(c.Buy).Explain(f))
	e.Observe = c.Observe
	return e, nil
}

// Explain says what the rules make of a peer. See admin.Control.
func (s *sidecar) Explain(_ context.Context, q admin.Question) (admin.Explanation, error) {
	a, err := readAsked(q)
	if err != nil {
		return admin.Explanation{}, err
	}
	f, connected := s.desk.Facts(a.infoHash, a.remote)
	a.tell(&f)
	sell, buy, blocked := s.desk.Explain(f)
	e := explanation(a, f, sell, buy)
	e.Running, e.Connected, e.Blocked, e.Observe = true, connected, blocked, s.current().Observe
	if e.Buy.Decision == "bought" && connected {
		e.NotNow = s.desk.NotNow(a.infoHash, a.remote)
	}
	return e, nil
}
