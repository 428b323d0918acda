package announce

import (
	"bytes"
	"net/url"
	"strconv"

	"paygate/units"
)

// Request is an announce to an HTTP tracker (BEP 3).
type Request struct {
	InfoHash units.InfoHash
	PeerID   [20]byte
	Port     uint16 // as the client said it
	Stopped  bool   // event=stopped: the client leaves the swarm
}

// ParseTarget reads a request target, in origin or absolute form. It reports false unless the query has an info_hash and
// a peer_id of 20 bytes each, and a port.
func ParseTarget(target []byte) (Request, bool) {
	var r Request
	var hash, id, port bool
	each(target, func(key, value []byte, _ int) {
		switch string(key) {
		case "info_hash":
			hash = unescape20(r.InfoHash[:], value) || hash
		case "peer_id":
			id = unescape20(r.PeerID[:], value) || id
		case "port":
			if n, ok := portValue(value); ok {
				r.Port, port = n, true
			}
		case "event":
			r.Stopped = string(value) == "stopped"
		}
	})
	return r, hash && id && port
}

// RewriteTarget appends to dst a request target that tells port instead of the client's. It reports false, and appends the
// target as it is, unless ParseTarget takes it for an announce.
func RewriteTarget(dst, target []byte, port uint16) ([]byte, bool) {
	if _, ok := ParseTarget(target); !ok {
		return append(dst, target...), false
	}
	done := 0
	each(target, func(key, value []byte, at int) {
		if _, ok := portValue(value); ok && string(key) == "port" {
			dst = append(dst, target[done:at]...)
			dst = strconv.AppendUint(dst, uint64(port), 10)
			done = at + len(value)
		}
	})
	return append(dst, target[done:]...), true
}

// RequestTarget finds the target in the head of an HTTP/1 request: what stands between the method GET and the version in its
// first line. It reports false for anything else.
func RequestTarget(head []byte) (from, to int, ok bool) {
	line, _, found := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	from, to = len("GET "), bytes.LastIndexByte(line, ' ')
	if !found || !bytes.HasPrefix(line, []byte("GET ")) || to <= from || !bytes.HasPrefix(line[to+1:], []byte("HTTP/1.")) {
		return 0, 0, false
	}
	return from, to, true
}

// RewriteHead appends to dst the head of an HTTP/1 request with the port of its target replaced as RewriteTarget does, and every
// header as it stands. The Request is the announce as the client wrote it; false if it is none.
func RewriteHead(dst, head []byte, port uint16) ([]byte, Request, bool) {
	from, to, ok := RequestTarget(head)
	if !ok {
		return append(dst, head...), Request{}, false
	}
	r, ok := ParseTarget(head[from:to])
	if !ok {
		return append(dst, head...), Request{}, false
	}
	dst = append(dst, head[:from]...)
	dst, _ = RewriteTarget(dst, head[from:to], port)
	return append(dst, head[to:]...), r, true
}

// each calls do for the parameters of a target's query, with the place of each value.
func each(target []byte, do func(key, value []byte, at int)) {
	at := bytes.IndexByte(target, '?') + 1
	if at == 0 {
		return
	}
	for at < len(target) {
		end := len(target)
		if n := bytes.IndexByte(target[at:], '&'); n >= 0 {
			end = at + n
		}
		if key, value, ok := bytes.Cut(target[at:end], []byte("=")); ok {
			do(key, value, end-len(value))
		}
		at = end + 1
	}
}

// unescape20 reads 20 bytes with their escapes undone.
func unescape20(dst, value []byte) bool {
	if len(value) > 3*len(dst) {
		return false
	}
	s, err := url.QueryUnescape(string(value))
	if err != nil || len(s) != len(dst) {
		return false
	}
	copy(dst, s)
	return true
}

// portValue reads a port from 0 to 65535, in digits alone.
func portValue(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 || len(bytes.Trim(b, "0123456789")) > 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 16)
	return uint16(n), err == nil
}
