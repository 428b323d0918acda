package proxy

import "paygate/units"

// Sent is how many bytes all sessions together, also those that have ended, have sent to remote peers.
func (p *Proxy) Sent() units.Bytes {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := p.sent
	for _, s := range p.sessions {
		total += units.Bytes(s.toRemote.sent.Load())
	}
	return total
}
