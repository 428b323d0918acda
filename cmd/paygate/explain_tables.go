package main

import (
	"fmt"
	"io"
	"strconv"

	"paygate/admin"
	"paygate/policy"
)

// printExplanation tells a person what the rules make of a peer.
func printExplanation(w io.Writer, e admin.Explanation) {
	who := "any peer"
	if e.Peer != "" {
		who = e.Peer
	}
	fmt.Fprintf(w, "%s on %s: %s\n", printable(who), e.InfoHash, sourceText(e))
	fmt.Fprintln(w, "\nKnown:")
	g := newGrid("", "")
	for _, f := range e.Facts {
		g.row(f.Name, f.Value)
	}
	g.print(w, "  ")
	fmt.Fprintln(w, "\nSelling, by the first rule that matches:")
	printSteps(w, e.Sell.Steps)
	fmt.Fprintln(w, "  "+sellText(e))
	fmt.Fprintln(w, "\nBuying, by the first rule that matches:")
	printSteps(w, e.Buy.Steps)
	fmt.Fprintln(w, "  "+buyText(e))
	if e.NotNow != "" {
		fmt.Fprintf(w, "  Nothing is bought of it at the moment: %s.\n", notNowText(e.NotNow))
	}
}

// notNowText says why nothing is bought of a seller at the moment.
func notNowText(why string) string {
	switch why {
	case policy.WhyDropped:
		return "your client has dropped this seller for bad data (see `paygate status`)"
	case policy.WhyStrangers:
		return "enough sellers that have not proven themselves hold money of yours"
	case policy.WhyLosses:
		return "sellers that did not deliver have cost enough"
	case policy.WhySellers:
		return "what is left of the torrent is not worth another seller"
	case policy.WhyUnresolved, policy.WhyPending:
		return "payments whose outcome is open"
	case policy.WhyOverBudget:
		return "the smallest purchase does not fit under a cap"
	}
	return printable(why)
}

func sourceText(e admin.Explanation) string {
	switch {
	case e.Connected:
		return "connected now, as paygate knows it"
	case e.Running:
		return "not connected; what paygate knows besides"
	}
	return "by the configuration file and what you told; no running paygate was asked"
}

// printSteps prints a line for each condition of each rule.
func printSteps(w io.Writer, steps []admin.Step) {
	if len(steps) == 0 {
		fmt.Fprintln(w, "  There are no rules.")
		return
	}
	g := newGrid("rule", ">line", "matches", "condition", "wants", "saw", "holds")
	for _, s := range steps {
		name, line, matches := s.Rule, strconv.Itoa(s.Line), yesNo(s.Matches)
		if len(s.Tests) == 0 {
			g.row(name, line, matches, "none", "", "", "")
		}
		for _, t := range s.Tests {
			g.row(name, line, matches, t.Fact, t.Wants, t.Saw, yesNo(t.Holds))
			name, line, matches = "", "", ""
		}
	}
	g.print(w, "  ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// reasonTexts say why a rule that has a price is not applied.
var reasonTexts = map[string]string{
	policy.ReasonPrivate:        "the torrent is private, and not all of its trackers are named under tracker_agreed",
	policy.ReasonPrivateUnknown: "nobody knows whether the torrent is private, and the rule does not list its info-hash",
	policy.ReasonNoRights:       "the rule names no right to charge for it",
	policy.ReasonSizeUnknown:    "the price is one per torrent, and its size is not known",
	policy.ReasonRatio:          "the client's ratio on it has come to the rule's stop_at",
}

func reasonText(reason string) string {
	if text, ok := reasonTexts[reason]; ok {
		return text
	}
	return reason
}

func sellText(e admin.Explanation) string {
	v := e.Sell
	switch {
	case e.Blocked:
		return "Refused: the torrent is blocked, whatever the rules say (`paygate unblock`)."
	case v.Decision == "denied":
		return fmt.Sprintf("Refused, by %q.", printable(v.Rule))
	case v.Decision == "charged":
		return fmt.Sprintf("Charged %s, by %q%s.", v.Price, printable(v.Rule), onlyObserved(e))
	case v.Reason != "":
		return fmt.Sprintf("Free, although %q has a price: %s.", printable(v.Rule), reasonText(v.Reason))
	case v.Rule == "":
		return "Free: no rule matches."
	}
	return fmt.Sprintf("Free, by %q.", printable(v.Rule))
}

func buyText(e admin.Explanation) string {
	v := e.Buy
	switch {
	case e.Blocked:
		return "Not bought: the torrent is blocked."
	case v.Decision == "bought":
		return fmt.Sprintf("Bought for at most %s, by %q%s.", v.Price, printable(v.Rule), onlyObserved(e))
	case v.Reason != "":
		return fmt.Sprintf("Not bought, although %q has a price: %s.", printable(v.Rule), reasonText(v.Reason))
	case v.Rule == "":
		return "Not bought: no rule matches."
	}
	return fmt.Sprintf("Not bought, by %q.", printable(v.Rule))
}

func onlyObserved(e admin.Explanation) string {
	if e.Observe {
		return ", if observe were off"
	}
	return ""
}
