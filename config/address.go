package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ownAddress reads an address to listen on. An empty host or a wildcard means every address of the machine.
func ownAddress(dst *string) func(string) error {
	return func(s string) error {
		port, err := checkAddress(s, true)
		if err != nil {
			return err
		}
		*dst = s
		if port == 0 {
			return &fault{message: "port 0 takes any free port, a different one at each start", remedy: "write a fixed port unless this is a test", note: true}
		}
		return nil
	}
}

// farAddress reads an address to connect to.
func farAddress(dst *string) func(string) error {
	return func(s string) error {
		port, err := checkAddress(s, false)
		if err == nil && port == 0 {
			err = badAddress(s, "its port is 0", "write a port from 1 to 65535")
		}
		if err == nil {
			*dst = s
		}
		return err
	}
}

func ownAddresses(dst *[]string) func(string) error {
	return func(s string) error {
		var a string
		err := ownAddress(&a)(s)
		if a != "" {
			*dst = append(*dst, a)
		}
		return err
	}
}

func farAddresses(dst *[]string) func(string) error {
	return func(s string) error {
		var a string
		if err := farAddress(&a)(s); err != nil {
			return err
		}
		*dst = append(*dst, a)
		return nil
	}
}

func checkAddress(s string, own bool) (port uint16, err error) {
	host, number, err := net.SplitHostPort(s)
	if err != nil {
		return 0, badAddress(s, "it must be host:port", `write it as "127.0.0.1:6881", an IPv6 host in brackets`)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return 0, badAddress(s, "its port is not a number from 0 to 65535", "write a port such as 6881")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if !own && ip.IsUnspecified() {
			return 0, badAddress(s, "nothing can be reached at "+host, "write the address it listens on, such as 127.0.0.1")
		}
		return uint16(n), nil
	}
	if host == "" && own {
		return uint16(n), nil
	}
	if !hostName(host) {
		return 0, badAddress(s, "its host is neither an IP address nor a name", `write it as "127.0.0.1:6881"`)
	}
	return uint16(n), nil
}

func badAddress(s, why, remedy string) error {
	return &fault{message: fmt.Sprintf("%q is not an address: %s", clip(s), why), remedy: remedy}
}

// hostName reports whether a host can be a DNS name (RFC 1123). A name of digits and dots alone is a mistyped IPv4
// address.
func hostName(host string) bool {
	if host == "" || len(host) > 253 || strings.Trim(host, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.IndexFunc(label, notNameRune) >= 0 {
			return false
		}
	}
	return true
}

func notNameRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// hostIP returns the IP that an address names; the zero Addr for a name that only DNS knows.
func hostIP(address string) (ip netip.Addr, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.Addr{}, ""
	}
	switch host {
	case "":
		return netip.IPv6Unspecified(), port
	case "localhost":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), port
	}
	ip, _ = netip.ParseAddr(host)
	return ip.Unmap(), port
}

// webAddress reads the address of a client's API. User and password have options of their own.
func webAddress(dst *string) func(string) error {
	return func(s string) error {
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return &fault{message: fmt.Sprintf("%q is not an address of a web interface", clip(s)), remedy: `write it as "http://127.0.0.1:8080"`}
		case u.User != nil:
			return &fault{message: "has a user in it", remedy: "write user and password under their own names beside url"}
		case u.RawQuery != "" || u.Fragment != "":
			return &fault{message: "has a query in it", remedy: "write only scheme, host, port and path"}
		}
		*dst = strings.TrimRight(s, "/")
		return nil
	}
}
