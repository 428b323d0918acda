package pay

import "sync/atomic"

// meter is the hot half of a conversation: what the relay loops touch once per block. It holds bytes, not money;
// the conversation turns leases of money into bytes beforehand. All fields are atomic; nothing blocks or allocates.
type meter struct {
	pacer
	open     atomic.Bool  // true: nothing is metered, every request passes
	avail    atomic.Int64 // bytes that may still be reserved; negative after blocks that came without a reservation
	served   atomic.Int64 // payload bytes that went to the remote
	received atomic.Int64 // payload bytes that came from the remote, and are counted
	wanted   atomic.Int64 // of received: what our client had asked for
	unasked  atomic.Int64 // what came beyond that, counted or not
	asked    atomic.Int64 // bytes that our client has asked of the remote and not received
	revoked  atomic.Int64 // what it had asked for, and a cancel or a choke took back: it may be on its way
	lowOut   atomic.Int64 // wake the conversation when avail falls below this
	lowIn    atomic.Int64 // wake the conversation when received reaches this; 0 is never
	nudge    func()       // wakes the conversation without ever waiting for it
}

// Request reserves n bytes, or reports that there is no credit for them, or that they would come too soon.
func (m *meter) Request(n int) bool {
	paced := m.paced.Load()
	if paced && !m.draw(int64(n)) {
		return false
	}
	if m.open.Load() {
		return true
	}
	for {
		a := m.avail.Load()
		if a < int64(n) {
			if paced {
				m.tokens.Add(int64(n))
			}
			return false
		}
		if m.avail.CompareAndSwap(a, a-int64(n)) {
			if low := m.lowOut.Load(); a >= low && a-int64(n) < low {
				m.nudge()
			}
			return true
		}
	}
}

// Release gives n reserved bytes back.
func (m *meter) Release(n int) {
	if m.paced.Load() {
		m.tokens.Add(int64(n))
	}
	if !m.open.Load() {
		m.avail.Add(int64(n))
	}
}

// Moved counts a block that has passed.
func (m *meter) Moved(n int, out, reserved bool) {
	if out {
		m.served.Add(int64(n))
		if !reserved && !m.open.Load() {
			m.avail.Add(-int64(n))
		}
		return
	}
	came := m.due(int64(n))
	before := m.received.Add(came) - came
	if low := m.lowIn.Load(); low > 0 && before < low && before+came >= low {
		m.nudge()
	}
}

// due is how much of n bytes that came is counted: what was asked for, and beyond that only what may have crossed a cancel
// or a choke on its way. Who sends more is not paid for it.
func (m *meter) due(n int64) int64 {
	asked := m.fulfilled(n)
	wanted := m.wanted.Add(asked)
	more := n - asked
	if more > 0 && m.unasked.Add(more) > windowBytes+wanted/8 {
		return asked
	}
	return asked + takeOff(&m.revoked, more)
}

// fulfilled takes n bytes off what our client waits for; unasked bytes never drive it below zero.
func (m *meter) fulfilled(n int64) (asked int64) { return takeOff(&m.asked, n) }

// takeBack notes that n bytes that our client has asked for are not to come any more.
func (m *meter) takeBack(n int64) { m.revoked.Add(m.fulfilled(n)) }

// takeOff takes up to n off, and returns how much that was.
func takeOff(of *atomic.Int64, n int64) int64 {
	for {
		a := of.Load()
		if of.CompareAndSwap(a, max(a-n, 0)) {
			return min(a, n)
		}
	}
}
