package clients

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below the range that the kernel gives to outgoing connections.
const (
	firstPort = 10000
	lastPort  = 29999
)

// FreePort returns a TCP and UDP port on which nothing listens on any address, IPv4 or IPv6. Nothing keeps it free
// until it is used; ports are drawn at random so that several runs at once seldom meet.
func FreePort() (uint16, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if portFree(port) {
			return uint16(port), nil
		}
	}
	return 0, errors.New("no free port found")
}

func portFree(port int) bool {
	address := fmt.Sprintf(":%d", port)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = tcp.Close() }()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return udp.Close() == nil
}
