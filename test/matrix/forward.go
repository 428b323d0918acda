package matrix

import (
	"errors"
	"io"
	"net"
	"sync"
)

// forwarder lets programs in a namespace reach an address of the test's own, as if it were theirs. It is for the
// Lightning nodes, which listen on loopback alone; nothing of BitTorrent passes it.
type forwarder struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
}

// forward listens at the place on the address that it forwards to.
func forward(at *place, address string) (*forwarder, error) {
	f := &forwarder{to: address, conns: make(map[net.Conn]struct{})}
	err := at.enter(func() (err error) {
		f.listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.running.Go(f.accept)
	return f, nil
}

func (f *forwarder) accept() {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", f.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		if !f.keep(near, far) {
			return
		}
		f.running.Go(func() { f.copy(near, far) })
		f.running.Go(func() { f.copy(far, near) })
	}
}

// keep remembers connections for close; it closes them itself if it comes too late.
func (f *forwarder) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		if f.conns == nil {
			_ = c.Close()
			continue
		}
		f.conns[c] = struct{}{}
	}
	return f.conns != nil
}

func (f *forwarder) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either end may leave
	_ = to.Close()
	_ = from.Close()
}

// close ends all connections and waits for them.
func (f *forwarder) close() error {
	err := f.listener.Close()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
