package hostile

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"paygate/units"
)

// Swarm is a number of attackers.
type Swarm struct {
	connected atomic.Int64
	running   sync.WaitGroup
	stop      context.CancelFunc
}

// Unleash lets that many attackers loose on target, host:port, where the torrent of that info-hash is served. The
// attacks take turns among them. Each waits for pause before it connects again.
func Unleash(target string, ih units.InfoHash, count int, pause time.Duration) *Swarm {
	ctx, stop := context.WithCancel(context.Background())
	s := &Swarm{stop: stop}
	attacks := Attacks()
	for i := range count {
		a := attacker{attack: attacks[i%len(attacks)], from: address(i), target: target, ih: ih, pause: pause}
		s.running.Go(func() { s.connected.Add(int64(a.run(ctx))) })
	}
	return s
}

// address gives each attacker one of its own, from 127.200.0.1 up.
func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 200, byte(i / 250), byte(1 + i%250)})
}

// Stop ends all attackers and returns how often they got a connection.
func (s *Swarm) Stop() int {
	s.stop()
	s.running.Wait()
	return int(s.connected.Load())
}
