package proxy

import (
	"net/netip"

	"paygate/units"
)

// Session is one pair of connections, remote peer and client. Its methods may be called from any goroutine and do
// not block.
type Session struct{}

// ID is unique in this process.
func (s *Session) ID() uint64 { return 0 }

// Remote is the remote peer's true address.
func (s *Session) Remote() netip.AddrPort { return netip.AddrPort{} }

// InfoHash is what the initiator's handshake named.
func (s *Session) InfoHash() units.InfoHash { return units.InfoHash{} }

// Initiator reports whether our side opened the connection to the remote.
func (s *Session) Initiator() bool { return false }

// Send injects an extended message for the remote, addressed by the id that the remote gave to our name number dialect.
func (s *Session) Send(dialect int, payload []byte) error { return nil }

// Offer passes the remote's interest on to the client, while the client's unchoke stays hidden.
func (s *Session) Offer() {}

// Open lets the client's unchoke through and passes requests as Gate.Request allows.
func (s *Session) Open() {}

// Resume tries held requests again.
func (s *Session) Resume() {}

// Shut stops passing requests, drains what the client was asked, chokes the remote and closes the valve.
func (s *Session) Shut() {}

// Withdraw takes an Offer back at once.
func (s *Session) Withdraw() {}

// Release ends framing: from the next flush on both directions are copied blindly.
func (s *Session) Release() {}

// Close ends the session; reason is logged.
func (s *Session) Close(reason string) {}

// Outstanding is the number of requests that the client was asked and has not answered.
func (s *Session) Outstanding() int { return 0 }
