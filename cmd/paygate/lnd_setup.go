package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"paygate/lnclient"
	"paygate/units"
)

const lndSetupHelp = `Prints the lncli command that makes a macaroon with exactly the rights paygate needs, and the lines for paygate.yaml.

A macaroon is a key that says which doors it opens. lnd's own admin.macaroon opens all of them, on-chain money included;
whoever reads it can empty your wallet. The one made here lets paygate

  --for sell   make, watch and cancel invoices
  --for buy    pay invoices, and follow those payments; your caps (buy.per_day ...) bound how much
  --for both   both

and, in each case, see who the node is and what its channels can carry. It cannot open or close channels, send coins
on chain, or make further macaroons.

With --run it runs lncli itself, checks what came back, and writes the file so that only you can read it.`

const lndSetupExample = `  # what to type on the machine where lnd runs
  paygate lnd setup

  # a seller's macaroon, made at once
  paygate lnd setup --for sell --run

  # lnd in another place, on another network
  paygate lnd setup --run --lnddir /srv/lnd --rpcserver 127.0.0.1:10010 --network signet --save-to seller.macaroon`

type lndSetup struct {
	purpose, saveTo, lncli                             string
	lnddir, rpcserver, network, tlscert, adminMacaroon string
	run, force                                         bool
}

func newLndSetupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "setup", Short: "Make a macaroon with no more rights than paygate needs",
		Long: lndSetupHelp, Example: lndSetupExample,
	}
	var s lndSetup
	f := cmd.Flags()
	f.StringVar(&s.purpose, "for", "both", "`what` paygate will do: sell, buy or both")
	f.StringVar(&s.saveTo, "save-to", "", "`file` for the macaroon (default: paygate.macaroon in lnd's directory)")
	f.BoolVar(&s.run, "run", false, "run lncli and write the file")
	f.BoolVar(&s.force, "force", false, "with --run: replace the file if it exists")
	f.StringVar(&s.lncli, "lncli", "lncli", "`path` of lncli")
	f.StringVar(&s.lnddir, "lnddir", "", "lnd's `directory` (default: ~/.lnd)")
	f.StringVar(&s.rpcserver, "rpcserver", "", "lnd's gRPC `address` (default: 127.0.0.1:10009)")
	f.StringVar(&s.network, "network", "", "`network` that lnd is on (default: mainnet)")
	f.StringVar(&s.tlscert, "tlscertpath", "", "lnd's certificate `file` (default: tls.cert in its directory)")
	f.StringVar(&s.adminMacaroon, "macaroonpath", "", "macaroon `file` that lncli itself uses")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		uris := s.uris()
		if uris == nil {
			return usageError(cmd, fmt.Errorf("--for %s is not sell, buy or both", s.purpose))
		}
		if s.run {
			return s.bake(cmd.Context(), cmd.OutOrStdout(), uris)
		}
		s.print(cmd.OutOrStdout(), uris)
		return nil
	}
	return cmd
}

// uris are the calls that the macaroon has to allow; nil for an unknown purpose.
func (s lndSetup) uris() []string {
	switch s.purpose {
	case "sell", "buy", "both":
		return lnclient.Permissions(s.purpose != "buy", s.purpose != "sell")
	}
	return nil
}

func (s lndSetup) doing() string {
	return map[string]string{"sell": "sell", "buy": "buy", "both": "sell and buy"}[s.purpose]
}

func (s lndSetup) print(w io.Writer, uris []string) {
	words := append(append([]string{s.lncli}, s.options()...), "bakemacaroon", "--save_to", s.file())
	for i, word := range words {
		words[i] = shellWord(word)
	}
	fmt.Fprintf(w, "# A macaroon that lets paygate %s: %s of lnd, and nothing else. Type:\n\n(umask 077; %s", s.doing(), count(len(uris), "call"), strings.Join(words, " "))
	for _, u := range uris {
		fmt.Fprintf(w, " \\\n  uri:%s", u)
	}
	fmt.Fprint(w, ")\n\n# Then put into paygate.yaml:\n\n")
	s.printYAML(w)
}

func (s lndSetup) printYAML(w io.Writer) {
	fmt.Fprintf(w, "lightning:\n  address: %s\n  tls_cert: %s\n  macaroon: %s\n  network: %s\n\n# and see that all is well: paygate doctor -c paygate.yaml\n",
		yamlWord(orElse(s.rpcserver, "127.0.0.1:10009")), yamlWord(orElse(s.tlscert, s.dir()+"/tls.cert")),
		yamlWord(s.file()), yamlWord(orElse(s.network, "mainnet")))
}

// options are those that lncli takes before the name of its command.
func (s lndSetup) options() []string {
	var out []string
	for _, o := range []struct{ name, value string }{
		{"--lnddir", s.lnddir},
		{"--rpcserver", s.rpcserver},
		{"--network", s.network},
		{"--tlscertpath", s.tlscert},
		{"--macaroonpath", s.adminMacaroon},
	} {
		if o.value != "" {
			out = append(out, o.name, o.value)
		}
	}
	return out
}

func (s lndSetup) dir() string { return strings.TrimRight(orElse(s.lnddir, "~/.lnd"), "/") }

func (s lndSetup) file() string { return orElse(s.saveTo, s.dir()+"/paygate.macaroon") }

// bake runs lncli and writes the macaroon that it prints. lncli is not asked to write it: it would let others read it.
func (s lndSetup) bake(ctx context.Context, w io.Writer, uris []string) error {
	path, err := expandHome(s.file())
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil && !s.force {
		return fmt.Errorf("%s exists: choose another file with --save-to, or replace it with --force", path)
	}
	raw, err := s.runLncli(ctx, uris)
	if err != nil {
		return err
	}
	if err := replaceFile(path, raw); err != nil {
		return err
	}
	fmt.Fprintf(w, "# %s lets paygate %s, and nothing else. Only you can read it. Put into paygate.yaml:\n\n", path, s.doing())
	s.saveTo = path
	s.printYAML(w)
	return nil
}

// runLncli returns the macaroon that lncli has made, once it is sure that it allows what was asked, and only that.
func (s lndSetup) runLncli(ctx context.Context, uris []string) ([]byte, error) {
	args := append(s.options(), "bakemacaroon")
	for _, u := range uris {
		args = append(args, "uri:"+u)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, s.lncli, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("run lncli: %w", err), errors.New("name it with --lncli, or type what `paygate lnd setup` prints where lnd runs"))
		}
		return nil, fmt.Errorf("run %s bakemacaroon: %w\n%s", s.lncli, err, firstLines(stderr.String()+stdout.String()))
	}
	digits := strings.TrimSpace(stdout.String())
	rights, err := lnclient.InspectMacaroon(units.Secret(digits))
	if err != nil {
		return nil, fmt.Errorf("read what %s printed: %w", s.lncli, err)
	}
	if harmful, harmless := rights.Beyond(uris); len(rights.Missing(uris))+len(harmful)+len(harmless) > 0 {
		return nil, fmt.Errorf("%s has made a macaroon with other rights than it was asked for; it was not kept", s.lncli)
	}
	return hex.DecodeString(digits)
}

const shownError = 2000

// firstLines is the beginning of what another program said, safe for a terminal.
func firstLines(text string) string {
	text = strings.TrimSpace(text)
	lines := strings.Split(text[:min(len(text), shownError)], "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}

func expandHome(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return filepath.Abs(path)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w", err)
	}
	return filepath.Join(home, rest), nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./~:@+-]+$`)

// shellWord quotes what a shell would not take as one word.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// yamlWord quotes what YAML would not take as a plain scalar.
func yamlWord(s string) string {
	if plainWord.MatchString(s) && !strings.HasSuffix(s, ":") {
		return s
	}
	return strconv.Quote(s)
}
