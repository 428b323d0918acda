package admin

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// control keeps what it was told, or refuses it.
type control struct {
	told []string
	err  error
}

func (c *control) Block(_ context.Context, ih, reason string) (BlockReport, error) {
	c.told = append(c.told, "block "+ih+" "+reason)
	return BlockReport{Changed: []string{ih}, Closed: 3}, c.err
}

func (c *control) Unblock(_ context.Context, ih, reason string) (BlockReport, error) {
	c.told = append(c.told, "unblock "+ih+" "+reason)
	return BlockReport{Changed: []string{}}, c.err
}

func (c *control) Explain(_ context.Context, q Question) (Explanation, error) {
	if q.Torrent == "" {
		return Explanation{}, errors.New("which torrent?")
	}
	return Explanation{InfoHash: q.Torrent, Sell: Verdict{Decision: "charged", Steps: []Step{{Rule: "r", Tests: []Test{{"peer", "a", "b", true}}}}}}, nil
}

func (c *control) Reload(context.Context) (ReloadReport, error) {
	return ReloadReport{Changed: []string{"buy.per_day"}}, c.err
}

func TestOrdersAreCarriedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	c := &control{}
	stop := serveWith(t, path, source{}, c)
	r, err := Block(t.Context(), path, "aa", "why \"not\"")
	if err != nil || r.Closed != 3 || len(r.Changed) != 1 || r.Changed[0] != "aa" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Unblock(t.Context(), path, "bb", ""); err != nil || len(r.Changed) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := strings.Join(c.told, "; "); got != `block aa why "not"; unblock bb ` {
		t.Errorf("told %q", got)
	}
	if r, err := Reload(t.Context(), path); err != nil || len(r.Changed) != 1 || r.Changed[0] != "buy.per_day" {
		t.Errorf("%+v, %v", r, err)
	}
	if e, err := Explain(t.Context(), path, Question{Torrent: "dd"}); err != nil || e.InfoHash != "dd" || !e.Sell.Steps[0].Tests[0].Holds {
		t.Errorf("%+v, %v", e, err)
	}
	c.err = errors.New("the disk is full")
	var refused *Refused
	if _, err := Block(t.Context(), path, "cc", ""); !errors.As(err, &refused) || refused.Why != "the disk is full" {
		t.Errorf("%v", err)
	}
	for target, code := range map[string]int{"/block": 405, "/unblock": 405, "/reload": 405} {
		if got := askStatus(t, path, "GET", target); got != code {
			t.Errorf("GET %s: %d", target, got)
		}
	}
	if got := askStatus(t, path, "POST", "/block"); got != 400 {
		t.Errorf("an empty order: %d", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestOrderTooLongIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serveWith(t, path, source{}, &control{})
	if _, err := Block(t.Context(), path, "aa", strings.Repeat("x", maxOrder)); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("%v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
