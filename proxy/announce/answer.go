package announce

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"paygate/proxy/wire"
)

// MaxPeers is how many peers of one answer are read.
const MaxPeers = 1000

// maxInterval bounds what a tracker may ask for.
const maxInterval = 24 * time.Hour

// ErrTooLong says that a body is longer than the caller takes.
var ErrTooLong = errors.New("the tracker's answer is too long")

// Answer is what an HTTP tracker says (BEP 3, 7, 23, 24).
type Answer struct {
	Peers    []netip.AddrPort // at most MaxPeers, each once; those named by a host name, or that nobody can dial, are left out
	Interval time.Duration    // until the next announce is due; 0 if it does not say; at most a day
	External netip.Addr       // as which the tracker sees the client; zero if it does not say
}

// ReadAnswer reads a tracker's answer, and makes of it the same answer with no peers left in it. An answer that holds none comes
// back as it is. Errors are of *wire.BencodeError.
func ReadAnswer(body []byte) (a Answer, emptied []byte, err error) {
	d, err := wire.ParseDict(body)
	if err != nil {
		return a, nil, err
	}
	done := 0
	seen := map[netip.AddrPort]bool{}
	for e := range d.Entries() {
		none := ""
		switch string(e.Key) {
		case "peers":
			none = a.addPeers(e, seen)
		case "peers6":
			none = a.addCompact(e, 16, seen)
		case "interval":
			if n, ok := e.Int(); ok && n > 0 {
				a.Interval = time.Duration(min(n, int64(maxInterval/time.Second))) * time.Second
			}
		case "external ip":
			if ip, ok := e.Text(); ok {
				a.External, _ = netip.AddrFromSlice(ip)
				a.External = a.External.Unmap()
			}
		}
		if none != "" {
			emptied = append(append(emptied, body[done:e.At]...), none...)
			done = e.At + len(e.Value)
		}
	}
	return a, append(emptied, body[done:]...), nil
}

// addPeers keeps the peers of a list or of a compact string, and returns the empty value of the same form, "" for neither.
func (a *Answer) addPeers(e wire.Entry, seen map[netip.AddrPort]bool) string {
	if len(e.Value) == 0 || e.Value[0] != 'l' {
		return a.addCompact(e, 4, seen)
	}
	for d := range e.Items() {
		host, _ := d.Get("ip")
		port, _ := d.Get("port")
		name, _ := host.Text()
		n, _ := port.Int()
		ip, err := netip.ParseAddr(string(name))
		if err == nil && n > 0 && n <= 0xffff {
			a.add(netip.AddrPortFrom(ip, uint16(n)), seen)
		}
	}
	return "le"
}

// addCompact keeps the peers of a compact string with addresses of size bytes (BEP 23 and 7).
func (a *Answer) addCompact(e wire.Entry, size int, seen map[netip.AddrPort]bool) string {
	b, ok := e.Text()
	if !ok {
		return ""
	}
	for ; len(b) >= size+2; b = b[size+2:] {
		ip, _ := netip.AddrFromSlice(b[:size])
		a.add(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[size:])), seen)
	}
	return "0:"
}

func (a *Answer) add(peer netip.AddrPort, seen map[netip.AddrPort]bool) {
	ip := peer.Addr().Unmap().WithZone("")
	peer = netip.AddrPortFrom(ip, peer.Port())
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if peer.Port() == 0 || ip.IsUnspecified() || ip.IsMulticast() || ip == broadcast || seen[peer] || len(a.Peers) >= MaxPeers {
		return
	}
	seen[peer] = true
	a.Peers = append(a.Peers, peer)
}

// Unzip undoes gzip (RFC 1952). It returns ErrTooLong if there would be more than most bytes.
func Unzip(body []byte, most int) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(z, int64(most)+1))
	if err == nil && len(plain) > most {
		err = ErrTooLong
	}
	if err != nil {
		return nil, err
	}
	return plain, nil
}
