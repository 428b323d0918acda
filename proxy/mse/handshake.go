package mse

import (
	"context"
	"errors"
	"expvar"
	"io"
	"net"
	"time"

	"github.com/anacrolix/torrent/mse"

	"paygate/units"
)

// Method is a set of ways in which a stream may go on after the handshake, as crypto_provides has it.
type Method uint32

// The methods there are.
const (
	Plaintext Method = 1 // only the handshake is encrypted
	RC4       Method = 2
)

var (
	// ErrUnknownTorrent says that the initiator asks for a torrent that is not among those that it was held against.
	ErrUnknownTorrent = errors.New("an encrypted handshake for an unknown torrent")
	// ErrNoMethod says that the two sides share no method.
	ErrNoMethod = errors.New("no shared encryption method")
	// ErrNotEncrypted says that the other side does not speak MSE, or makes mistakes in it.
	ErrNotEncrypted = errors.New("not an encrypted handshake")
)

// Reception is how an initiator's handshake is answered.
type Reception struct {
	First    []byte                       // what has been read of it
	Torrents [][]units.InfoHash           // lists of those that it may be for; not changed meanwhile
	Choose   func(provided Method) Method // takes one method, or 0 for none of them
	Budget   *Budget                      // for the stream's buffers; nil: they stay small
}

// Result is what a handshake has come to.
type Result struct {
	Stream   *Stream // nil if Method is Plaintext: the connection goes on bare
	Method   Method
	Early    []byte         // the first words of the other side, in the clear: at most 68 KiB; the connection goes on behind them
	InfoHash units.InfoHash // the initiator's torrent
	Provided Method         // what the initiator offered
}

// Receive answers the handshake of an initiator on conn. It ends with an error when ctx does, and may then have left
// conn anywhere in the handshake. A deadline of conn is replaced, and removed if all goes well. The error is one of this
// package's, or conn's, or ctx's.
//
// How long the search for the torrent takes depends on how many there are, not on which of them it is.
func Receive(ctx context.Context, conn *net.TCPConn, r Reception) (Result, error) {
	res := Result{}
	found := false
	search := func(try func([]byte) bool) {
		for _, list := range r.Torrents {
			for i := range list {
				if more := try(list[i][:]); !more && !found {
					found, res.InfoHash = true, list[i]
				}
			}
		}
	}
	choose := func(provided mse.CryptoMethod) mse.CryptoMethod {
		res.Provided = Method(provided)
		return mse.CryptoMethod(r.Choose(res.Provided) & res.Provided)
	}
	p := &pipe{conn: conn, pre: r.First}
	err := p.during(ctx, func() (io.ReadWriter, error) {
		rw, method, err := mse.ReceiveHandshake(context.Background(), p, search, choose)
		res.Method = Method(method)
		return rw, err
	})
	boundCounters()
	switch {
	case err == nil:
		return p.finish(res, r.Budget)
	case p.err != nil:
		return res, p.err
	case errors.Is(err, mse.ErrNoSecretKeyMatch):
		return res, ErrUnknownTorrent
	case found && res.Provided != 0 && res.Method == 0:
		return res, ErrNoMethod
	}
	return res, ErrNotEncrypted
}

// Initiate opens an encrypted stream for a torrent on conn. early goes out with the handshake, at most 64 KiB, or right behind it if
// the other side may choose Plaintext: Transmission 3.00 does, and then reads what came encrypted in the handshake as if it
// had come in the clear. See Receive for the rest.
func Initiate(ctx context.Context, conn *net.TCPConn, ih units.InfoHash, provides Method, early []byte, b *Budget) (Result, error) {
	res := Result{InfoHash: ih, Provided: provides}
	p := &pipe{conn: conn}
	within, behind := early, []byte(nil)
	if provides&Plaintext != 0 {
		within, behind = nil, early
	}
	err := p.during(ctx, func() (io.ReadWriter, error) {
		rw, method, err := mse.InitiateHandshakeContext(context.Background(), p, ih[:], within, mse.CryptoMethod(provides))
		res.Method = Method(method)
		if err == nil && len(behind) > 0 {
			_, err = rw.Write(behind)
		}
		return rw, err
	})
	switch {
	case err == nil:
		return p.finish(res, b)
	case p.err != nil:
		return res, p.err
	}
	return res, ErrNotEncrypted
}

// pipe is what anacrolix's side of the stream reads and writes: during the handshake the connection, afterwards whatever
// its Stream says. Reading and writing share nothing but conn.
type pipe struct {
	conn *net.TCPConn
	rw   io.ReadWriter // anacrolix's

	pre    []byte // was read from conn, and comes next
	buffer []byte // of the handshake
	shook  bool
	fd     int   // what Read reads once pre is used up, -1: nothing
	err    error // of conn during the handshake

	sink Sink // takes what is written once shook
}

// handshakeBuffer is enough for nearly all of one side of a handshake.
const handshakeBuffer = 2 << 10

var past = time.Unix(1, 0)

// during runs a handshake under ctx's end and deadline.
func (p *pipe) during(ctx context.Context, shake func() (io.ReadWriter, error)) error {
	deadline, _ := ctx.Deadline()
	if err := p.conn.SetDeadline(deadline); err != nil {
		p.err = err
		return err
	}
	p.buffer = make([]byte, handshakeBuffer)
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(past) })
	rw, err := shake()
	if !stop() && ctx.Err() != nil {
		p.err = ctx.Err()
		return p.err
	}
	if err == nil {
		err = p.err // which anacrolix overlooks in the initial payload
	}
	if err == nil {
		p.err = p.conn.SetDeadline(time.Time{})
		err = p.err
	}
	p.rw = rw
	return err
}

// finish readies the stream behind the handshake.
func (p *pipe) finish(res Result, b *Budget) (Result, error) {
	p.shook, p.fd = true, -1
	early := make([]byte, handshakeBuffer)
	for {
		n, err := p.rw.Read(early)
		res.Early = append(res.Early, early[:n]...)
		if errors.Is(err, errDrained) {
			break
		}
		if err != nil {
			return res, err
		}
	}
	p.pre, p.buffer = nil, nil
	if res.Method == RC4 {
		res.Stream = newStream(p, b)
	}
	return res, nil
}

// boundCounters forgets the counters that anacrolix keeps for each value of crypto_provides, of which strangers could
// otherwise make four thousand million.
func boundCounters() {
	if counters() > 8 {
		expvar.Get(counterMap).(*expvar.Map).Init()
	}
}

// counterMap is where anacrolix keeps them.
const counterMap = "mseCryptoProvides"

func counters() (n int) {
	if m, ok := expvar.Get(counterMap).(*expvar.Map); ok {
		m.Do(func(expvar.KeyValue) { n++ })
	}
	return n
}
