package pay

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestMeterNeverReservesBeyondCredit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &meter{nudge: func() {}}
		credit := rapid.Int64Range(0, 1<<20).Draw(t, "credit")
		m.avail.Store(credit)
		var outstanding []int
		var served int64
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			n := rapid.IntRange(1, 1<<15).Draw(t, "n")
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				if m.Request(n) {
					outstanding = append(outstanding, n)
				}
			case 1:
				if len(outstanding) > 0 {
					m.Release(outstanding[0])
					outstanding = outstanding[1:]
				}
			case 2:
				if len(outstanding) > 0 {
					served += int64(outstanding[0])
					m.Moved(outstanding[0], true, true)
					outstanding = outstanding[1:]
				}
			}
			var reserved int64
			for _, n := range outstanding {
				reserved += int64(n)
			}
			if got := m.avail.Load(); got != credit-served-reserved || got < 0 {
				t.Fatalf("avail %d, want %d - %d - %d", got, credit, served, reserved)
			}
		}
	})
}

func TestMeterIsFairUnderRace(t *testing.T) {
	m := &meter{nudge: func() {}}
	m.avail.Store(1000 * block)
	var wg sync.WaitGroup
	got := make([]int, 8)
	for i := range got {
		wg.Go(func() {
			for m.Request(block) {
				got[i]++
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range got {
		sum += n
	}
	if sum != 1000 || m.avail.Load() != 0 {
		t.Errorf("%d blocks were reserved of 1000, %d bytes are left", sum, m.avail.Load())
	}
}

func TestUnreservedBlocksAreCharged(t *testing.T) {
	m := &meter{nudge: func() {}}
	m.avail.Store(block)
	m.Moved(block, true, false)
	if m.avail.Load() != 0 || m.served.Load() != block {
		t.Errorf("avail %d, served %d", m.avail.Load(), m.served.Load())
	}
}

func TestMeterWakesAtItsMarks(t *testing.T) {
	m := &meter{nudge: func() {}}
	m.avail.Store(10 * block)
	m.lowOut.Store(5 * block)
	m.lowIn.Store(3 * block)
	m.asked.Store(4 * block)
	rung := false
	m.nudge = func() { rung = true }
	woken := func() bool {
		was := rung
		rung = false
		return was
	}
	for i := 1; i <= 10; i++ {
		m.Request(block)
		if want := i == 6; woken() != want {
			t.Errorf("request %d: woken must be %v", i, want)
		}
	}
	for i := 1; i <= 4; i++ {
		m.Moved(block, false, false)
		if want := i == 3; woken() != want {
			t.Errorf("block %d: woken must be %v", i, want)
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	c := &conversation{meter: meter{nudge: func() {}}}
	c.avail.Store(1 << 50)
	if n := testing.AllocsPerRun(1000, func() {
		c.Request(block)
		c.Moved(block, true, true)
		c.Moved(block, false, false)
		c.Request(block)
		c.Release(block)
	}); n != 0 {
		t.Errorf("the gate's decision allocates %v times a block", n)
	}
}
