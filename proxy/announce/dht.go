package announce

import (
	"strconv"

	"paygate/proxy/wire"
)

// RewriteDHT appends to dst an announce_peer query (BEP 5) that tells port: `port` becomes it, and `implied_port`, which would
// make the port of the sender count, becomes 0 where it is there. It reports false, and appends nothing, if the packet is
// no such query or holds no port.
func RewriteDHT(dst, packet []byte, port uint16) ([]byte, bool) {
	args, ok := announcePeer(packet)
	if !ok {
		return dst, false
	}
	inner, ok := args.Dict()
	if !ok {
		return dst, false
	}
	out, done, found := dst, 0, false
	for e := range inner.Entries() {
		var n uint64
		switch string(e.Key) {
		case "port":
			n, found = uint64(port), true
		case "implied_port":
		default:
			continue
		}
		if _, ok := e.Int(); !ok {
			return dst, false
		}
		at := args.At + e.At
		out = append(append(out, packet[done:at]...), 'i')
		out = append(strconv.AppendUint(out, n, 10), 'e')
		done = at + len(e.Value)
	}
	if !found {
		return dst, false
	}
	return append(out, packet[done:]...), true
}

// announcePeer finds the arguments of an announce_peer query.
func announcePeer(packet []byte) (wire.Entry, bool) {
	d, err := wire.ParseDict(packet)
	if err != nil {
		return wire.Entry{}, false
	}
	if !is(d, "y", "q") || !is(d, "q", "announce_peer") {
		return wire.Entry{}, false
	}
	return d.Get("a")
}

func is(d wire.Dict, key, text string) bool {
	e, ok := d.Get(key)
	if !ok {
		return false
	}
	s, ok := e.Text()
	return ok && string(s) == text
}
