package firewall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Host is the machine on which plans are carried out.
type Host struct {
	// Run runs a program to its end with input on its standard input, and returns what it printed on standard output.
	Run func(ctx context.Context, input, program string, args ...string) (string, error)
	// Dir is where it is written down what was applied; not kept across a reboot, as rules are not either.
	Dir string
}

// Applied is what Apply wrote down.
type Applied struct {
	Options Options `json:"options"`
	Plan    Plan    `json:"plan"`
	Listing string  `json:"listing"` // the table as nft listed it then
}

// Apply brings the machine into the state of the plan. Done twice, it changes nothing the second time. Rules that the
// kernel does not take are found before anything is changed.
func (h Host) Apply(ctx context.Context, p *Plan) error {
	if _, err := h.Run(ctx, p.transaction(), "nft", "--check", "-f", "-"); err != nil {
		return fmt.Errorf("try the rules: %w", err)
	}
	if err := h.route(ctx, p); err != nil {
		return err
	}
	if _, err := h.Run(ctx, p.transaction(), "nft", "-f", "-"); err != nil {
		return fmt.Errorf("load the rules: %w", err) // hardly: they were taken a moment ago
	}
	listing, err := h.listing(ctx, p.Table)
	if err != nil {
		return err
	}
	return h.remember(Applied{p.options, *p, listing})
}

// Remove takes away all that plans of this name and place put there, whichever they were. It reports whether there was
// anything.
func (h Host) Remove(ctx context.Context, p *Plan) (bool, error) {
	found := false
	if _, err := h.listing(ctx, p.Table); err == nil {
		found = true
		if _, err := h.Run(ctx, p.removal(), "nft", "-f", "-"); err != nil {
			return true, fmt.Errorf("delete the table %s: %w", p.Table, err)
		}
	}
	routed, err := h.unroute(ctx, p)
	if err != nil {
		return true, err
	}
	if err := os.Remove(h.file(p.Table)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return true, fmt.Errorf("forget what was applied: %w", err)
	}
	os.Remove(h.Dir) // unless rules of other clients are written down there
	return found || routed, nil
}

// Recall returns what was applied last under the name of a table; nil if nothing was.
func (h Host) Recall(table string) (*Applied, error) {
	b, err := os.ReadFile(h.file(table))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var a Applied
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was applied: %w", err)
	}
	return &a, nil
}

// Intact reports whether what was applied is still there, as it was. It takes root.
func (h Host) Intact(ctx context.Context, a *Applied) (bool, error) {
	now, err := h.listing(ctx, a.Plan.Table)
	if err != nil {
		return false, nil //nolint:nilerr // a table that cannot be listed is not there
	}
	routed, err := h.routed(ctx, &a.Plan)
	return routed && now == a.Listing, err
}

// listing is our table as it is now, without counters. The error says that there is none.
func (h Host) listing(ctx context.Context, table string) (string, error) {
	return h.Run(ctx, "", "nft", "--stateless", "list", "table", "inet", table)
}

// route brings routing rules and table to what the plan wants, unless they are so already.
func (h Host) route(ctx context.Context, p *Plan) error {
	last, err := h.Recall(p.Table)
	if err == nil && last != nil && slices.Equal(last.Plan.Routes, p.Routes) {
		if ok, err := h.routed(ctx, p); ok && err == nil {
			return nil
		}
	}
	if _, err := h.unroute(ctx, p); err != nil {
		return err
	}
	for _, r := range p.Routes {
		for _, args := range [][]string{p.routeArgs(r), p.ruleArgs(r)} {
			if _, err := h.Run(ctx, "", "ip", args...); err != nil {
				_, undone := h.unroute(ctx, p)
				return errors.Join(fmt.Errorf("add a route: %w", err), undone)
			}
		}
	}
	return nil
}

// routed reports whether there are as many of our routing rules and routes as the plan wants.
func (h Host) routed(ctx context.Context, p *Plan) (bool, error) {
	for _, family := range families {
		want := 0
		for _, r := range p.Routes {
			if r.Family == family {
				want++
			}
		}
		rules, routes, err := h.count(ctx, family, p)
		if err != nil || rules != want || routes != min(want, 1) {
			return false, err
		}
	}
	return true, nil
}

// count counts our routing rules and routes.
func (h Host) count(ctx context.Context, family string, p *Plan) (rules, routes int, err error) {
	list, err := h.Run(ctx, "", "ip", family, "rule", "show", "pref", fmt.Sprint(p.Number))
	if err != nil && !slices.ContainsFunc(p.Routes, func(r Route) bool { return r.Family == family }) {
		return 0, 0, nil // this machine may have no such family
	}
	if err != nil {
		return 0, 0, fmt.Errorf("list routing rules: %w", err)
	}
	// A table that never was is an error of ip, and has no routes.
	table, _ := h.Run(ctx, "", "ip", family, "route", "show", "table", fmt.Sprint(p.Number))
	return lines(list), lines(table), nil
}

func lines(s string) int { return len(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })) }

// unroute deletes our routing rules and routes.
func (h Host) unroute(ctx context.Context, p *Plan) (found bool, err error) {
	for _, family := range families {
		rules, routes, err := h.count(ctx, family, p)
		if err != nil {
			return found, err
		}
		found = found || rules+routes > 0
		for range rules {
			if _, err := h.Run(ctx, "", "ip", family, "rule", "delete", "pref", fmt.Sprint(p.Number)); err != nil {
				return true, fmt.Errorf("delete a routing rule: %w", err)
			}
		}
		if routes == 0 {
			continue
		}
		if _, err := h.Run(ctx, "", "ip", family, "route", "flush", "table", fmt.Sprint(p.Number)); err != nil {
			return true, fmt.Errorf("empty our routing table: %w", err)
		}
	}
	return found, nil
}

func (h Host) file(table string) string { return filepath.Join(h.Dir, table+".json") }

func (h Host) remember(a Applied) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err == nil {
		err = os.MkdirAll(h.Dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(h.file(a.Plan.Table), append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write down what was applied: %w", err)
	}
	return nil
}
