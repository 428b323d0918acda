package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"paygate/proxy/mse"
	"paygate/proxy/wire"
)

// route is how the side that is called can be reached.
type route struct {
	ways    []mse.Method                                // in order
	redial  func(context.Context) (*net.TCPConn, error) // for the second way; a connection for the first is there
	end     func()                                      // gives back what redial took, when the session is over
	learn   func(way mse.Method)                        // told in which way an answer came; nil: nobody cares
	budget  *mse.Budget
	timeout time.Duration
}

// clientRoute is how the client is called for a remote. Its end hangs up what was called again.
func (p *Proxy) clientRoute(l *legs) route {
	var again *net.TCPConn
	remote := l.addr.Addr()
	return route{
		ways: p.secrecy.toClient(), learn: p.secrecy.learn, budget: p.secrecy.budget, timeout: p.cfg.HandshakeTimeout,
		redial: func(ctx context.Context) (conn *net.TCPConn, err error) {
			again, err = p.dialClient(ctx, remote)
			return again, err
		},
		end: func() {
			if again != nil {
				p.hangUp(again, remote)
			}
		},
	}
}

// remoteRoute is how a remote is called for a client that has provided these methods.
func (p *Proxy) remoteRoute(l *legs, provided mse.Method) route {
	return route{
		ways: p.secrecy.toRemote(provided), budget: p.secrecy.budget, timeout: p.cfg.HandshakeTimeout, end: func() {},
		redial: func(ctx context.Context) (*net.TCPConn, error) { return p.dialRemote(ctx, l.addr.String()) },
	}
}

// reach says the first words to the side that is called, in the first way that it answers to.
func (s *Session) reach(ctx context.Context, said []byte, r route) error {
	var failed error
	for i, way := range r.ways {
		if i > 0 {
			if err := s.redial(ctx, r); err != nil {
				return errors.Join(err, failed)
			}
		}
		var err error
		said, err = s.try(ctx, said, way, r, i == len(r.ways)-1)
		if err == nil || errors.Is(err, errCaller) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// errCaller says that it is the caller who has gone.
var errCaller = errors.New("the caller has gone")

// try says the first words in one way, and returns what has been said in all: more of the caller's handshake may have come.
func (s *Session) try(ctx context.Context, said []byte, way mse.Method, r route, last bool) ([]byte, error) {
	if way != bareWay {
		timeout := r.timeout
		if !last {
			timeout /= 2
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err := s.encrypt(ctx, said, way, r.budget); err != nil {
			return said, err
		}
	} else {
		if err := s.firstTo().rawBytes(said); err != nil {
			return said, err
		}
		if len(r.ways) == 1 {
			return said, nil
		}
		var err error
		if said, err = s.awaitWord(said, r.timeout); err != nil {
			return said, err
		}
	}
	if r.learn != nil {
		r.learn(way)
	}
	return said, nil
}

// encrypt makes the side that is called an encrypted one, which has heard the first words.
func (s *Session) encrypt(ctx context.Context, said []byte, way mse.Method, b *mse.Budget) error {
	_, to := s.ends()
	r, err := mse.Initiate(ctx, to.conn, s.hash, way, said, b)
	if err != nil {
		return fmt.Errorf("encrypted handshake: %w", err)
	}
	if s.initiator {
		s.toRemote.sent.Add(int64(len(said)))
	}
	return s.seat(seated(to.conn, r))
}

// ends are the side that has called and the one that is called.
func (s *Session) ends() (caller, called *side) {
	if s.initiator {
		return &s.client, &s.remote
	}
	return &s.remote, &s.client
}

// firstTo writes to the side that is called.
func (s *Session) firstTo() *sender {
	if s.initiator {
		return &s.toRemote
	}
	return &s.toClient
}

// redial puts another connection in the place of the one that did not answer.
func (s *Session) redial(ctx context.Context, r route) error {
	conn, err := r.redial(ctx)
	if err != nil {
		return err
	}
	_, to := s.ends()
	old := to.conn
	err = s.seat(side{conn: conn})
	old.Close()
	return err
}

// seat puts c in the place of the side that is called. Nothing is relayed yet.
func (s *Session) seat(c side) error {
	s.mu.Lock()
	over := s.reason != ""
	if _, to := s.ends(); !over {
		*to = c
	}
	s.mu.Unlock()
	switch {
	case over:
		c.conn.Close()
		return ErrEnded
	case s.initiator:
		return errors.Join(s.toRemote.turn(c), s.in.turn())
	}
	return errors.Join(s.toClient.turn(c), s.out.turn())
}

// awaitWord waits until the side that is called says something, which it does not take, or ends. Meanwhile it passes on what comes
// of the caller's peer id, on which the other may wait.
func (s *Session) awaitWord(said []byte, timeout time.Duration) ([]byte, error) {
	caller, called := s.ends()
	if err := called.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return said, err
	}
	answered := make(chan bool, 1)
	go func() {
		word, err := peek(called.conn, anything)
		_ = caller.conn.SetReadDeadline(past)
		answered <- len(word) > 0 || errors.Is(err, errInterrupted)
	}()
	said, err := s.passPeerID(said)
	if err != nil && !isTimeout(err) {
		_ = called.conn.SetReadDeadline(past)
	} else {
		err = nil
	}
	spoke := <-answered
	if err != nil {
		return said, fmt.Errorf("%w: %w", errCaller, err)
	}
	if err := errors.Join(caller.conn.SetReadDeadline(time.Time{}), called.conn.SetReadDeadline(time.Time{})); err != nil {
		return said, err
	}
	if !spoke {
		return said, errWordless
	}
	return said, nil
}

// anything is a first word.
func anything(b []byte) speech {
	if len(b) == 0 {
		return unclear
	}
	return hidden
}

// passPeerID passes on the caller's peer id as it comes.
func (s *Session) passPeerID(said []byte) ([]byte, error) {
	f := &s.in
	if s.initiator {
		f = &s.out
	}
	caller, _ := s.ends()
	var b [wire.PeerIDLen]byte
	for len(said) < wire.HandshakeLen {
		n, err := caller.Read(b[:wire.HandshakeLen-len(said)])
		if err != nil {
			return said, err
		}
		said = append(said, b[:n]...)
		f.read.Add(int64(n))
		f.heardID(b[:n])
		if err := s.firstTo().rawBytes(b[:n]); err != nil {
			return said, nil // the one that is called has gone, which the wait for its word tells better
		}
	}
	return said, nil
}
