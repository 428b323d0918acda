package sandbox

import (
	"net"
	"sync"
)

// connections is a listener that can break the connection of one peer.
type connections struct {
	net.Listener
	mu   sync.Mutex
	open map[string]net.Conn // by remote address
}

func newConnections(l net.Listener) *connections {
	return &connections{Listener: l, open: map[string]net.Conn{}}
}

// Accept notes the connection until it is closed.
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn.RemoteAddr().String()] = conn
	return &tracked{Conn: conn, owner: c}, nil
}

// drop breaks the connection of the peer at addr.
func (c *connections) drop(addr string) {
	c.mu.Lock()
	conn := c.open[addr]
	c.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // what matters is that it is gone
	}
}

// tracked takes itself off the list when it closes.
type tracked struct {
	net.Conn
	owner *connections
}

// Close closes the connection.
func (t *tracked) Close() error {
	t.owner.mu.Lock()
	delete(t.owner.open, t.RemoteAddr().String())
	t.owner.mu.Unlock()
	return t.Conn.Close()
}
