package proxy

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"

	"paygate/proxy/wire"
)

// stage is how far a direction has come.
type stage uint8

const (
	atHead   stage = iota // the 48 bytes that name the torrent; needed whole, since some bits are changed
	atPeerID              // the 20 bytes behind it, passed as they come
	atFrames
)

// debt is a set of things to report once what caused them has been written.
type debt uint8

const (
	owesShaken debt = 1 << iota // the direction's handshake is through
	owesFirst                   // the remote's first message that is not an extended one
	owesReady                   // an extended handshake with our names
)

// maxDone is how many pieces are written before the gate hears of them.
const maxDone = 64

// flow is one direction of a framed session: it reads one socket and gives what may pass to the sender of the other. One
// goroutine at a time runs it, none while it rests (rest.go), and owns everything in it but the atomic fields.
//
// What it changes: bits of the head; the client's extended handshakes; addresses of other peers (gossip.go); extended
// messages to ids of ours are taken out; and in a gated session, what turnstile does to choke, interest, requests and
// cancels. All else passes byte for byte, and frames that stand next to each other go out in one write.
type flow struct {
	s   *Session
	src *side // of the session
	raw syscall.RawConn
	dst *sender
	out bool // from the client to the remote

	stage    stage
	idLeft   int
	id       [wire.PeerIDLen]byte // the peer id, as far as it has come
	swallow  bool                 // the head is not passed on, the other side has one
	scan     wire.Scanner
	dropping bool // the message being streamed does not pass

	buffer *buffer // lent; nil while waiting
	fill   int     // bytes of it in use
	carry  []byte  // what has come of a message while waiting
	wait   func(uintptr) bool
	got    int
	err    error
	dry    bool // its source has ended or failed, and not what it writes to

	run     int        // where in the buffer the run begins that has not been written
	cut     int        // first frame boundary of the run, see sender.relay
	mid     bool       // the last thing that passed did not end its frame
	done    *tally     // lent; nil if nothing was written
	owed    debt       // what to report when the run has been written
	past    bool       // the first message that is not an extended one has come
	taught  uint64     // our ids, as the scanner was told
	names   *[]chatter // the receiver's ids of what names other peers, as the scanner was told
	instead []byte     // what goes out in place of the frame that is judged

	blind bool     // what comes is copied as it is
	tube  *splicer // of the blind copy; nil: it goes through a buffer

	state  atomic.Int32
	stays  atomic.Bool // it keeps its goroutine until its end
	called atomic.Bool // it was interrupted
	hot    bool        // it waits in its goroutine
	waits  uint32      // since beat
	beat   uint32      // of the parker
	seat   uint32      // the parker's; 0: none

	read atomic.Int64 // bytes that came
}

func (f *flow) init(s *Session, src *side, dst *sender, out bool) error {
	f.s, f.dst, f.out = s, dst, out
	f.idLeft, f.cut, f.mid, f.wait = wire.PeerIDLen, -1, true, f.readSome
	f.src = src
	return f.turn()
}

// turn makes f read what its side is now. Nothing may have been read yet.
func (f *flow) turn() (err error) {
	f.raw, err = f.src.conn.SyscallConn()
	return err
}

// relayAll runs the direction until its source ends or something fails, or until it may rest. io.EOF is an orderly end; what
// had come of an unfinished control message by then is dropped.
func (f *flow) relayAll() error {
	for {
		if err := f.readMore(); err != nil {
			f.dry = !errors.Is(err, errRests)
			return err
		}
		n, err := f.step(f.buffer.b[:f.fill])
		if err != nil && f.s.treatment == Free && !f.swallow && isForeign(err) {
			f.stage = atFrames
			return f.goBlind(f.buffer.b[n:f.fill], nil)
		}
		if err != nil {
			return err
		}
		if blind, err := f.mayGoBlind(); blind || err != nil {
			return f.goBlind(f.buffer.b[n:f.fill], err)
		}
		if err := f.keep(n); err != nil {
			return err
		}
	}
}

// readMore waits for bytes and appends them to the buffer, which it borrows only when there are any.
func (f *flow) readMore() error {
	f.got, f.err = 0, nil
	if len(f.src.first) > 0 {
		f.borrow()
		f.got = f.src.takeFirst(f.buffer.b[f.fill:])
	} else if err := f.raw.Read(f.wait); err != nil {
		if f.interrupted(err) {
			return f.readMore()
		}
		return err
	}
	if f.err != nil {
		return f.err
	}
	f.fill += f.got
	f.read.Add(int64(f.got))
	return nil
}

// readSome runs under the descriptor's read lock. It reports false to be called again once there is something to read.
func (f *flow) readSome(fd uintptr) bool {
	f.borrow()
	for {
		n, err := f.src.readFD(int(fd), f.buffer.b[f.fill:])
		switch {
		case n > 0:
			f.got = n
			return true
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if f.err = f.park(); f.err == nil && f.mayRest() {
				f.err = errRests
			}
			return f.err != nil
		case err == nil:
			err = io.EOF
		}
		f.err = err
		return true
	}
}

func (f *flow) borrow() {
	if f.buffer != nil {
		return
	}
	f.buffer = f.s.buffers.get()
	if len(f.carry) >= len(f.buffer.b)/2 {
		f.s.buffers.put(f.buffer)
		f.buffer = f.s.buffers.getBig()
	}
	f.fill = copy(f.buffer.b, f.carry)
}

// park gives the buffer back and keeps what has come of an unfinished message.
func (f *flow) park() error {
	was := cap(f.carry)
	if f.fill > was || was > carryFree && f.fill <= carryFree {
		f.carry = make([]byte, carryRoom(f.fill, was))
		if !f.s.buffers.carry(was, len(f.carry)) {
			f.s.buffers.carry(was, 0)
			f.carry = nil
			return errCarry
		}
	}
	f.carry = f.carry[:f.fill]
	copy(f.carry, f.buffer.b)
	f.s.buffers.put(f.buffer)
	f.buffer, f.fill = nil, 0
	f.s.buffers.close(f.done)
	f.done = nil
	return nil
}

// letGo gives everything back.
func (f *flow) letGo() {
	if f.buffer != nil {
		f.s.buffers.put(f.buffer)
	}
	f.s.buffers.carry(cap(f.carry), 0)
	f.s.buffers.close(f.done)
	f.tube.end()
	f.buffer, f.done, f.carry, f.fill = nil, nil, nil, 0
}

// keep moves what was not consumed to the front, and makes room behind it.
func (f *flow) keep(n int) error {
	f.fill = copy(f.buffer.b, f.buffer.b[n:f.fill])
	if f.fill < len(f.buffer.b) {
		return nil
	}
	if len(f.buffer.b) == bigBuffer {
		return fmt.Errorf("%d bytes hold no message", f.fill) // the scanner asks for wire.MaxWhole at most
	}
	big := f.s.buffers.getBig()
	copy(big.b, f.buffer.b)
	f.s.buffers.put(f.buffer)
	f.buffer = big
	return nil
}

// step relays what b holds, which it may change in place, and returns how much of it is done with.
func (f *flow) step(b []byte) (pos int, err error) {
	f.run, f.cut = 0, -1
	if f.stage != atFrames {
		if pos, err = f.shake(b); err != nil {
			return pos, err
		}
	} else if !f.mid {
		f.cut = 0
	}
	f.learn()
	for f.stage == atFrames && pos < len(b) {
		frame, n, err := f.scan.Next(b[pos:])
		if err != nil {
			return pos, f.give(b, pos, err)
		}
		if n == 0 {
			break
		}
		if err := f.frame(b, pos, n, &frame); err != nil {
			return pos, err
		}
		pos += n
	}
	return pos, f.give(b, pos, nil)
}

// give writes the run up to pos. It returns err, or else what went wrong in writing.
func (f *flow) give(b []byte, pos int, err error) error {
	if e := f.flush(b, pos); err == nil {
		return e
	}
	return err
}

// flush writes the run up to pos, and starts a new one there.
func (f *flow) flush(b []byte, pos int) error {
	if pos > f.run {
		if err := f.dst.relay(b[f.run:pos], f.cut, f.mid); err != nil {
			return err
		}
	}
	f.run, f.cut = pos, -1
	if !f.mid {
		f.cut = 0
	}
	f.settle()
	return nil
}

// settle reports what has now been written.
func (f *flow) settle() {
	if f.done != nil && f.done.n > 0 {
		f.s.moved(f.out, f.done.blocks[:f.done.n])
		f.done.n = 0
	}
	if f.owed != 0 {
		owed := f.owed
		f.owed = 0
		f.s.settle(f, owed)
	}
}

// frame deals with a frame of n bytes at pos.
func (f *flow) frame(b []byte, pos, n int, frame *wire.Frame) error {
	if !frame.Start && f.dropping {
		f.dropping = !frame.End
		return f.skip(b, pos, n)
	}
	verdict, err := f.judge(frame)
	switch {
	case err != nil:
		return f.give(b, pos, err)
	case verdict == drop && frame.Start: // what has begun to pass passes whole, whoever has taken its id since
		f.dropping = !frame.End
		return f.skip(b, pos, n)
	case verdict == apart:
		return f.apart(b, pos, n, frame)
	}
	f.mid = !frame.End
	if frame.End && f.cut < 0 {
		f.cut = pos + n - f.run
	}
	if frame.End && frame.Kind == wire.Piece {
		return f.finished(b, pos+n, frame.Block)
	}
	return nil
}

// skip takes n bytes at pos out of the stream.
func (f *flow) skip(b []byte, pos, n int) error {
	if err := f.flush(b, pos); err != nil {
		return err
	}
	f.run += n
	return nil
}

// apart deals with a frame that must see everything before it written.
func (f *flow) apart(b []byte, pos, n int, frame *wire.Frame) error {
	if err := f.skip(b, pos, n); err != nil {
		return err
	}
	replaced, err := f.s.apart(f, frame)
	if err != nil || replaced == nil {
		return err
	}
	if err := f.dst.relay(replaced, 0, false); err != nil {
		return err
	}
	f.settle()
	return nil
}

// finished notes a piece that ends at end.
func (f *flow) finished(b []byte, end int, piece wire.Block) error {
	if f.done == nil {
		f.done = f.s.buffers.open()
	}
	f.done.blocks[f.done.n] = piece
	if f.done.n++; f.done.n < maxDone {
		return nil
	}
	return f.flush(b, end)
}

func (f *flow) judge(frame *wire.Frame) (verdict, error) {
	if f.out {
		return f.s.judgeClient(f, frame)
	}
	return f.s.judgeRemote(f, frame)
}
