package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"paygate/admin"
	"paygate/units"
)

// showTables prints statuses for a person. With live set each one replaces the one before and shows rates.
func showTables(w io.Writer, live bool) func(admin.Status) error {
	var last *admin.Status
	return func(st admin.Status) error {
		var b bytes.Buffer
		if !live {
			printStatus(&b, st, nil)
			_, err := w.Write(b.Bytes())
			return err
		}
		printStatus(&b, st, last)
		last = &st
		return repaint(w, b.String())
	}
}

// repaint draws from the top left corner over what was there, cut to the height of the terminal.
func repaint(w io.Writer, screen string) error {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	if f, ok := w.(*os.File); ok {
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && height > 1 && len(lines) >= height {
			lines = lines[:height-1]
		}
	}
	const home, clearLine, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"
	_, err := io.WriteString(w, home+strings.Join(lines, clearLine+"\n")+clearLine+"\n"+clearBelow)
	return err
}

// printStatus prints one status; rates are since last, and left out without it.
func printStatus(w io.Writer, st admin.Status, last *admin.Status) {
	fmt.Fprintf(w, "paygate %s, up %s, lightning %s\n", printable(st.Version), st.Uptime.Round(time.Second), lightningState(st.Lightning))
	printClients(w, st.Clients)
	if o := st.Observed; o != nil {
		fmt.Fprintf(w, "observe: true, so nothing is charged or paid. The rules would have earned %s for %s, if all had paid, and spent at most %s for %s.\n",
			o.Earned, o.SoldBytes, o.Spent, o.BoughtBytes)
	}
	printTotals(w, st.Totals)
	printWaits(w, st.Waits)
	printDropped(w, st.Dropped)
	printTorrents(w, st.Torrents)
	printSessions(w, st, last)
}

// printWaits says how long buyers have waited, if any have.
func printWaits(w io.Writer, x admin.Waits) {
	if x == (admin.Waits{}) {
		return
	}
	fmt.Fprintf(w, "  buyers waited %s for their first payments and %s for later ones, all together since the start\n",
		x.First.Round(time.Second/10), x.Later.Round(time.Second/10))
}

// printDropped lists the sellers that are left out, the latest few of them.
func printDropped(w io.Writer, list []admin.Dropped) {
	const most = 10
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n  %s dropped for bad data; nothing is paid to them, and what they hold counts as lost:\n", count(len(list), "seller"))
	g := newGrid("seller", "torrent", "reason", ">times", "until", ">holds")
	for _, d := range list[:min(len(list), most)] {
		g.row(d.Seller, d.InfoHash, d.Reason, d.Times, d.Until.Local().Format("2006-01-02 15:04"), d.Held.String())
	}
	g.print(w, "  ")
}

func lightningState(l admin.Lightning) string {
	s := l.State
	if l.Alias != "" {
		s += " (" + l.Alias + ")"
	}
	if l.Remedy != "" {
		s += ": " + l.Remedy
	}
	return printable(s)
}

func printTotals(w io.Writer, t admin.Totals) {
	fmt.Fprintln(w)
	g := newGrid("", ">bytes", ">free", ">paid", ">used", ">credit left", ">fees", ">payments")
	g.row("sold", t.SoldBytes.String(), t.SampleBytes.String(), t.Received.String(), t.Earned.String(), t.CreditOwed.String(), "", t.PaymentsIn)
	g.row("bought", t.BoughtBytes.String(), t.FreeBytes.String(), t.Paid.String(), (t.Paid - t.CreditHeld).String(), t.CreditHeld.String(), t.Fees.String(), t.PaymentsOut)
	g.print(w, "  ")
	if t.Pending > 0 || t.Unknown > 0 {
		fmt.Fprintf(w, "  %s on the way; %s whose outcome Lightning has not told yet\n", t.Pending, count(t.Unknown, "payment"))
	}
}

func printTorrents(w io.Writer, list []admin.Torrent) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w)
	g := newGrid("torrent", "rule", "price", ">sessions", ">in", ">out")
	for _, t := range slices.SortedFunc(slices.Values(list), func(a, b admin.Torrent) int { return cmp.Compare(b.In+b.Out, a.In+a.Out) }) {
		g.row(t.InfoHash, t.Rule, t.Price, t.Sessions, t.In.String(), t.Out.String())
	}
	g.print(w, "  ")
}

func printSessions(w io.Writer, st admin.Status, last *admin.Status) {
	if len(st.Sessions) == 0 {
		fmt.Fprintln(w, "\n  no connections")
		return
	}
	fmt.Fprintln(w)
	named := slices.ContainsFunc(st.Sessions, func(s admin.Session) bool { return s.Client != "" })
	heads := []string{">session", "peer", "torrent", "kind", "gate", ">age", ">in", ">out", ">in/s", ">out/s", ">balance"}
	if named {
		heads = append(heads, "client")
	}
	g := newGrid(heads...)
	rates := ratesSince(st, last)
	for _, s := range st.Sessions {
		r := rates[s.ID]
		cells := []any{
			s.ID, arrow(s) + s.Remote, s.InfoHash[:min(8, len(s.InfoHash))], kind(s), s.Gate, s.Age.Round(time.Second).String(),
			s.In.String(), s.Out.String(), r.in, r.out, balanceText(s),
		}
		if named {
			cells = append(cells, s.Client)
		}
		g.row(cells...)
	}
	g.print(w, "  ")
}

// printClients lists the clients if there is anything to tell apart or to tell of them.
func printClients(w io.Writer, list []admin.Client) {
	if len(list) == 0 || len(list) == 1 && list[0].Name == "" && list[0].State == "" {
		return
	}
	fmt.Fprintln(w)
	g := newGrid("client", "is", ">torrents", "listens at", "peers come in at", "dials through")
	for _, c := range list {
		g.row(printable(c.Name), printable(clientState(c.Kind, c.Version, c.State, c.Past)), c.InfoHashes, orOff(c.Address), orOff(c.Peers), orOff(c.SOCKS5))
	}
	g.print(w, "  ")
	for _, c := range list {
		if c.Remedy != "" {
			fmt.Fprintf(w, "  %s: %s\n", printable(c.Name), printable(c.Remedy))
		}
	}
}

func arrow(s admin.Session) string {
	if s.Outbound {
		return "→ "
	}
	return "← "
}

func kind(s admin.Session) string {
	if s.Paying != "" {
		return s.Treatment + ", " + s.Paying
	}
	return s.Treatment
}

func balanceText(s admin.Session) string {
	if s.Paying == "" && s.Balance == 0 {
		return ""
	}
	return s.Balance.String()
}

// rate is a session's speed in text; empty when unknown.
type rate struct{ in, out string }

func ratesSince(st admin.Status, last *admin.Status) map[uint64]rate {
	rates := map[uint64]rate{}
	if last == nil || st.Uptime <= last.Uptime {
		return rates
	}
	before := map[uint64]admin.Session{}
	for _, s := range last.Sessions {
		before[s.ID] = s
	}
	seconds := (st.Uptime - last.Uptime).Seconds()
	for _, s := range st.Sessions {
		if old, ok := before[s.ID]; ok {
			rates[s.ID] = rate{perSecond(s.In-old.In, seconds), perSecond(s.Out-old.Out, seconds)}
		}
	}
	return rates
}

func perSecond(b units.Bytes, seconds float64) string {
	if b <= 0 {
		return ""
	}
	return units.Bytes(float64(b) / seconds).String()
}
