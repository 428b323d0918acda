package pay

import "testing"

// perBlock is all that a block costs in the relay loops when it is sold, paced or not.
func perBlock(m *meter) {
	m.Request(block)
	m.Moved(block, true, true)
}

func meterOf(paced bool) *meter {
	m := &meter{nudge: func() {}}
	m.avail.Store(1 << 62)
	m.tokens.Store(1 << 62)
	m.paced.Store(paced)
	return m
}

// BenchmarkBlock measures the path of one block. At 0.31 to 0.35 CPU-seconds for a GiB that the relay takes (65,536 blocks
// of 16 KiB), 3 % are about 140 ns a block.
func BenchmarkBlock(b *testing.B) {
	for name, paced := range map[string]bool{"unpaced": false, "paced": true} {
		b.Run(name, func(b *testing.B) {
			m := meterOf(paced)
			b.ReportAllocs()
			for b.Loop() {
				perBlock(m)
			}
		})
	}
}

func TestPacedBlockDoesNotAllocate(t *testing.T) {
	m := meterOf(true)
	if n := testing.AllocsPerRun(1000, func() { perBlock(m) }); n != 0 {
		t.Errorf("%v allocations for a block", n)
	}
	m.tokens.Store(0)
	if n := testing.AllocsPerRun(1000, func() { m.Request(block) }); n != 0 || !m.thirsty.Load() {
		t.Errorf("%v allocations for a refusal", n)
	}
}
