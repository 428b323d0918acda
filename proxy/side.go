package proxy

import (
	"net"

	"paygate/proxy/mse"
)

// side is one connection of a session, bare or encrypted.
type side struct {
	conn   *net.TCPConn
	cipher *mse.Stream // nil: bare
	first  []byte      // was read already, in the clear: it comes before what the connection holds
}

// Read waits for bytes like the connection, and keeps to its deadline.
func (c *side) Read(b []byte) (int, error) {
	switch {
	case len(c.first) > 0:
		return c.takeFirst(b), nil
	case c.cipher != nil:
		return c.cipher.Read(b)
	}
	return c.conn.Read(b)
}

func (c *side) takeFirst(b []byte) int {
	n := copy(b, c.first)
	if c.first = c.first[n:]; len(c.first) == 0 {
		c.first = nil
	}
	return n
}

// readFD is read(2) on the connection's descriptor, which is open for reading by the caller. It knows nothing of first.
func (c *side) readFD(fd int, b []byte) (int, error) {
	if c.cipher != nil {
		return c.cipher.ReadFD(fd, b)
	}
	return readNow(fd, b)
}

// seated is what a handshake of MSE on conn has come to.
func seated(conn *net.TCPConn, r mse.Result) side {
	return side{conn: conn, cipher: r.Stream, first: r.Early}
}

// release gives back what the side holds beside its connection.
func (c *side) release() {
	if c.cipher != nil {
		c.cipher.Release()
	}
}
