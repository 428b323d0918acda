package light

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/proxy"

	"paygate/proxy/wire"
	"paygate/units"
)

const (
	inFlight     = 64                    // requests that a leecher keeps outstanding
	redialAfter  = 20 * time.Millisecond // what a leecher waits that was cut or not let in
	churnAfter   = 4 * time.Second       // the life of a connection
	socksTimeout = 5 * time.Second
)

var errTooMuch = errors.New("the peer asks for too much")

// Leecher is the buyer's client. It downloads for ever through paygate's SOCKS5 listener, connecting again whenever it
// is cut, except while it rests.
type Leecher struct {
	// Life is how long a connection lasts, unless it is cut; set it before Run. 0 is 4 seconds, so that nobody's bound on
	// messages is reached.
	Life time.Duration

	socks  string // of the buyer's paygate
	target string // of the seller's

	mu      sync.Mutex
	torrent units.InfoHash // for the next connection; its last bytes count
	mode    Mode
	changed chan struct{} // closed and replaced when mode changes
	done    chan struct{} // closed while there is no connection
	pending int           // requests that have no answer

	made, received atomic.Int64
}

// Mode is what a leecher does.
type Mode uint8

// What a leecher can do.
const (
	Resting Mode = iota // no connection
	Greedy              // as much as it gets
	Sated               // connected, but asks for nothing more
)

// NewLeecher makes one that rests, for a torrent, through the SOCKS5 listener of a buyer's paygate to the seller at target.
func NewLeecher(ih units.InfoHash, socks, target string) *Leecher {
	return &Leecher{torrent: ih, socks: socks, target: target, changed: make(chan struct{}), done: closed()}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Set changes what the leecher does.
func (l *Leecher) Set(m Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mode != m {
		l.mode = m
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

func (l *Leecher) now() (Mode, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.changed
}

// Rest disconnects, and returns when that is done.
func (l *Leecher) Rest() {
	l.Set(Resting)
	l.mu.Lock()
	done := l.done
	l.mu.Unlock()
	<-done
}

// Turn makes the next connection one for another torrent.
func (l *Leecher) Turn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := binary.BigEndian.Uint32(l.torrent[16:])
	binary.BigEndian.PutUint32(l.torrent[16:], n+1)
}

// Wants is the torrent of the next connection.
func (l *Leecher) Wants() units.InfoHash {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.torrent
}

// Outstanding is how many requests have no answer yet.
func (l *Leecher) Outstanding() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

func (l *Leecher) show(pending int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = pending
}

// Made is how many connections to the seller there have been.
func (l *Leecher) Made() int64 { return l.made.Load() }

// Received is how many blocks have come.
func (l *Leecher) Received() int64 { return l.received.Load() }

func (l *Leecher) life() time.Duration { return cmp.Or(l.Life, churnAfter) }

// Run downloads until ctx ends.
func (l *Leecher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		m, changed := l.now()
		if m == Resting {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		l.once(ctx)
		t := time.NewTimer(redialAfter)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// once makes one connection and uses it until it ends, or until it is time for another.
func (l *Leecher) once(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	defer close(done)
	l.mu.Lock()
	if l.mode == Resting {
		l.mu.Unlock()
		return
	}
	l.done = done
	ih := l.torrent
	l.mu.Unlock()
	conn, err := l.dial(ctx)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	defer l.show(0)
	l.made.Add(1)
	d := &download{l: l, conn: conn}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { d.follow(ctx) })
	began := time.Now()
	d.run(ih)
	if !d.served && time.Since(began) >= l.life() {
		l.Turn() // nobody gives it this one
	}
}

func (l *Leecher) dial(ctx context.Context) (net.Conn, error) {
	dialer, err := proxy.SOCKS5("tcp", l.socks, nil, &net.Dialer{})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, socksTimeout)
	defer stop()
	return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", l.target)
}

// download is one connection of a leecher.
type download struct {
	l    *Leecher
	conn net.Conn

	mu       sync.Mutex // guards what follows, and writing
	unchoked bool
	asked    int
	next     uint32
	enough   bool
	served   bool // a block came
}

// follow does as the leecher is told.
func (d *download) follow(ctx context.Context) {
	limit := time.NewTimer(d.l.life())
	defer limit.Stop()
	for {
		m, changed := d.l.now()
		switch m {
		case Resting:
			_ = d.conn.Close()
			return
		case Sated:
			d.stopAsking()
		case Greedy:
		}
		select {
		case <-ctx.Done():
			_ = d.conn.Close()
			return
		case <-limit.C:
			if m == Greedy {
				_ = d.conn.Close()
				return
			}
		case <-changed:
		}
	}
}

func (d *download) stopAsking() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enough = true
}

func (d *download) run(ih units.InfoHash) {
	if _, err := d.conn.Write(append(Greeting(ih, "-CL0001-"), wire.FrameInterested()...)); err != nil {
		return
	}
	if _, err := Meet(d.conn); err != nil {
		return
	}
	var f Framer
	buf := make([]byte, 64<<10)
	for {
		n, err := d.conn.Read(buf)
		if err != nil || f.Feed(buf[:n], d.hear) != nil || d.ask() != nil {
			return
		}
	}
}

func (d *download) hear(m wire.Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch m.Kind {
	case wire.Unchoke:
		d.unchoked = true
	case wire.Choke:
		d.unchoked, d.asked = false, 0
	case wire.Piece:
		if m.End {
			d.asked, d.served = max(0, d.asked-1), true
			d.l.received.Add(1)
		}
	}
	return nil
}

// ask keeps the seeder busy.
func (d *download) ask() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.l.show(d.asked) }()
	if !d.unchoked || d.enough {
		return nil
	}
	var b []byte
	for ; d.asked < inFlight; d.asked++ {
		n := d.next % (pieceCount * 16)
		b = wire.AppendRequest(b, wire.Block{Index: n / 16, Begin: n % 16 * BlockSize, Length: BlockSize})
		d.next++
	}
	if b == nil {
		return nil
	}
	_, err := d.conn.Write(b)
	return err
}
