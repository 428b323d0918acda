package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// The complete truth table. A state is the mode's letter (c closed, o offered, O open, s shutting, r released), then whether the
// remote is interested and whether the client has unchoked; what the sides were told follows from it. An answer is
// the next state and what is said: C choke, U unchoke (to the remote), I interested, N not interested (to the client),
// F the client will not serve what it was asked for.
const valveTable = `
state  interest  nointerest  unchoke  choke    offer   open     shut    withdraw  drained  release
c00    c10       c00         c01/N    c00/F    o00     O00      c00     c00       c00      r00
c10    c10       c00         c11/N    c10/F    o10/I   O10/I    c10     c10       c10      r10/I
c01    c11       c01         c01/N    c00/F    o01     O01/U    c01     c01       c01      r01/U
c11    c11       c01         c11/N    c10/F    o11/I   O11/UI   c11     c11       c11      r11/UI
o00    o10/I     o00         o01      o00/F    o00     O00      c00     c00       o00      r00
o10    o10       o00/N       o11      o10/F    o10     O10      c10/N   c10/N     o10      r10
o01    o11/I     o01         o01      o00/F    o01     O01/U    c01     c01       o01      r01/U
o11    o11       o01/N       o11      o10/F    o11     O11/U    c11/N   c11/N     o11      r11/U
O00    O10/I     O00         O01/U    O00/F    O00     O00      c00     O00       O00      r00
O10    O10       O00/N       O11/U    O10/F    O10     O10      c10/N   O10       O10      r10
O01    O11/I     O01         O01      O00/CF   O01     O01      s01     O01       O01      r01
O11    O11       O01/N       O11      O10/CF   O11     O11      s11     O11       O11      r11
s01    s11/I     s01         s01      c00/CF   o01/C   O01      s01     s01       c01/C    r01
s11    s11       s01/N       s11      c10/CNF  o11/C   O11      s11     s11       c11/CN   r11
r00    r10/I     r00         r01/U    r00/F    r00     r00      r00     r00       r00      r00
r10    r10       r00/N       r11/U    r10/F    r10     r10      r10     r10       r10      r10
r01    r11/I     r01         r01      r00/CF   r01     r01      r01     r01       r01      r01
r11    r11       r01/N       r11      r10/CF   r11     r11      r11     r11       r11      r11
`

func TestValveTruthTable(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(valveTable), "\n")
	columns := strings.Fields(rows[0])[1:]
	if len(columns) != int(doRelease)+1 {
		t.Fatalf("%d columns for %d inputs", len(columns), doRelease+1)
	}
	states := map[string]bool{}
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		states[cells[0]] = true
		for in, want := range cells[1:] {
			v := valveAt(cells[0])
			said := v.apply(input(in))
			if got := answer(v, said); got != want {
				t.Errorf("%s, %s: got %s, want %s", cells[0], columns[in], got, want)
			}
			if v != valveAt(answer(v, 0)) {
				t.Errorf("%s, %s: %+v breaks an invariant", cells[0], columns[in], v)
			}
		}
	}
	for _, row := range rows[1:] {
		for _, cell := range strings.Fields(row) {
			if next, _, _ := strings.Cut(cell, "/"); !states[next] {
				t.Errorf("no row for %s", next)
			}
		}
	}
}

func valveAt(state string) valve {
	v := valve{mode: mode(strings.IndexByte("coOsr", state[0])), remoteInterested: state[1] == '1', clientUnchoked: state[2] == '1'}
	v.toldInterested = v.remoteInterested && v.mode != closed
	v.toldUnchoked = v.clientUnchoked && v.mode >= opened
	return v
}

func answer(v valve, what say) string {
	bit := map[bool]int{true: 1}
	s := fmt.Sprintf("%c%d%d/", "coOsr"[v.mode], bit[v.remoteInterested], bit[v.clientUnchoked])
	for i, letter := range "CUINF" {
		if what&(1<<i) != 0 {
			s += string(letter)
		}
	}
	return strings.TrimSuffix(s, "/")
}
