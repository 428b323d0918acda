package wire

import (
	"slices"
	"testing"
)

func TestParseDict(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		good bool
	}{
		"empty": {"de", true}, "one": {"d1:ai1ee", true}, "nothing": {"", false}, "list": {"le", false}, "behind": {"dee", false},
		"short": {"d1:a", false}, "bad integer": {"d1:ai01ee", false},
	} {
		if _, err := ParseDict([]byte(c.in)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDictEntries(t *testing.T) {
	in := []byte("d1:ai7e1:b2:xy1:cd1:zi-1ee1:ll1:qd1:ni1eei5ed1:ni2eeee")
	d, err := ParseDict(in)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for e := range d.Entries() {
		keys = append(keys, string(e.Key))
		if string(in[e.At:e.At+len(e.Value)]) != string(e.Value) {
			t.Errorf("%s stands elsewhere than at %d", e.Key, e.At)
		}
	}
	if !slices.Equal(keys, []string{"a", "b", "c", "l"}) {
		t.Error(keys)
	}
	a, _ := d.Get("a")
	if n, ok := a.Int(); n != 7 || !ok {
		t.Error("a", n)
	}
	b, _ := d.Get("b")
	if s, ok := b.Text(); string(s) != "xy" || !ok {
		t.Errorf("b %q", s)
	}
	c, _ := d.Get("c")
	inner, ok := c.Dict()
	if z, found := inner.Get("z"); !ok || !found || string(z.Value) != "i-1e" {
		t.Error("c")
	}
	l, _ := d.Get("l")
	var ns []int64
	for item := range l.Items() {
		n, _ := item.Get("n")
		i, _ := n.Int()
		ns = append(ns, i)
	}
	if !slices.Equal(ns, []int64{1, 2}) {
		t.Error(ns)
	}
	if _, ok := d.Get("none"); ok {
		t.Error("found none")
	}
	if _, ok := a.Dict(); ok {
		t.Error("a number is no dictionary")
	}
	for range a.Items() {
		t.Error("a number has no items")
	}
}
