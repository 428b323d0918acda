package pay

import (
	"slices"
	"sync"
	"time"

	"paygate/proxy"
)

// facts is what the wire has shown so far. Notes of the same kind overwrite each other, so that no peer can make
// them grow.
type facts struct {
	any     bool
	hello   bool   // the remote's extended handshake has come
	dict    []byte // its pg_pay dict; nil: it does not speak the dialect
	ready   bool   // ours has gone out
	has     bool   // the client has told what it has
	whole   bool   // it has every piece
	starved bool   // requests are held
	flooded bool

	starvedAt time.Time // since when

	remoteInterested bool
	remoteUnchokes   bool
	clientInterested bool
	clientUnchokes   bool
	clientLeft       bool // the client has hung up, by itself
}

// mailbox carries facts and messages from the relay loops to the turns.
type mailbox struct {
	mu       sync.Mutex
	facts    facts
	messages []message
}

// message is a payment message and how many payload bytes had come before it.
type message struct {
	payload  []byte
	received int64
}

func (b *mailbox) note(e proxy.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &b.facts
	f.any = true
	switch e.Kind {
	case proxy.RemoteHello:
		f.hello = true
		if len(e.Dicts) > 0 && len(e.Dialects) > 0 && e.Dialects[0] {
			f.dict = slices.Clone(e.Dicts[0])
		}
	case proxy.Ready:
		f.ready = true
	case proxy.ClientHas:
		f.has, f.whole = true, e.Complete
	case proxy.RemoteInterested:
		f.remoteInterested = true
	case proxy.RemoteNotInterested:
		f.remoteInterested = false
	case proxy.RemoteUnchoke:
		f.remoteUnchokes = true
	case proxy.RemoteChoke:
		f.remoteUnchokes = false
	case proxy.ClientInterested:
		f.clientInterested = true
	case proxy.ClientNotInterested:
		f.clientInterested = false
	case proxy.ClientUnchoke:
		f.clientUnchokes = true
	case proxy.ClientChoke:
		f.clientUnchokes = false
	case proxy.ClientLeft:
		f.clientLeft = true
	case proxy.Starved:
		if !f.starved {
			f.starved, f.starvedAt = true, time.Now()
		}
	}
}

// put keeps a copy of a message; too many that nobody has read yet are a flood.
func (b *mailbox) put(payload []byte, received int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) >= mailboxSize {
		b.facts.flooded = true
		return
	}
	b.messages = append(b.messages, message{slices.Clone(payload), received})
}

// take returns the facts and the messages that came since the last call. Messages stay until both extended handshakes
// are known to have crossed: a quick remote answers ours before we are told that it has gone out.
func (b *mailbox) take() (facts, []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.facts.hello || !b.facts.ready {
		return b.facts, nil
	}
	m := b.messages
	b.messages = nil
	return b.facts, m
}

// next is the position of the first message that has not been taken, and false if there is none.
func (b *mailbox) next() (received int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) == 0 {
		return 0, false
	}
	return b.messages[0].received, true
}

// wanting reports whether the remote wants anything of us.
func (b *mailbox) wanting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.facts.remoteInterested || b.facts.starved
}

// fed forgets that requests are held, before they are tried again.
func (b *mailbox) fed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.facts.starved = false
}

// starvedSince is since when requests are held; zero: none are.
func (b *mailbox) starvedSince() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.facts.starved {
		return time.Time{}
	}
	return b.facts.starvedAt
}
