package proxy

import "time"

const (
	// blindChunk is how many bytes are copied between two updates of the counters.
	blindChunk = 1 << 20
	// linger is how long the other direction may go on after one has ended.
	linger = 10 * time.Second
)

// mayGoBlind reports whether framing may end here. It may not while something waits to be injected; nor, towards the
// client, while the remote may send what the client must not see.
func (f *flow) mayGoBlind() (bool, error) {
	if !f.s.released.Load() || f.stage != atFrames || f.dropping || f.s.chatty() || !f.out && !f.s.remoteHarmless() {
		return false, nil
	}
	return f.dst.tryEnd()
}

// goBlind passes what is left in the buffer, then everything else, unseen.
func (f *flow) goBlind(rest []byte, err error) error {
	if err == nil {
		err = f.dst.rawBytes(rest)
	}
	f.letGo()
	if f.s.hush != nil {
		f.s.hush()
	}
	if err != nil {
		return err
	}
	if f.src.cipher == nil && f.dst.cipher == nil {
		if err := f.unframe(); err != nil {
			return err
		}
	}
	f.blind = true
	return f.copyOn()
}

// unframe passes what was read already of a bare connection to another one, and leaves the rest to the kernel.
func (f *flow) unframe() error {
	first := f.src.first
	f.src.first = nil
	f.read.Add(int64(len(first)))
	if err := f.dst.rawBytes(first); err != nil {
		return err
	}
	return f.lay()
}

// copyOn goes on with a blind copy, until its source ends or something fails, or until it may rest.
func (f *flow) copyOn() error {
	if f.tube != nil {
		return f.splice()
	}
	return f.copyThrough()
}

// copyThrough copies bytes through a buffer, as those of a cipher must be.
func (f *flow) copyThrough() error {
	for {
		if err := f.readMore(); err != nil {
			return err
		}
		n := f.fill
		f.fill = 0
		if err := f.dst.rawBytes(f.buffer.b[:n]); err != nil {
			return err
		}
	}
}
