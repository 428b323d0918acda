package pay

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	quotaSubnets = 4096 // subnets that are remembered; whoever is forgotten begins anew
	quotaBurst   = 20   // unpaid invoices that one subnet may have made at once
	quotaRate    = 1.0 / 30
	quotaAll     = 200 // and all subnets together
	quotaAllRate = 1.0
)

// quota bounds how many invoices that nobody pays can be made, so that no one can fill the node's database. A paid
// one does not count.
type quota struct {
	mu      sync.Mutex
	all     bucket
	subnets *lru.Cache[netip.Prefix, *bucket]
}

func newQuota() *quota {
	subnets, err := lru.New[netip.Prefix, *bucket](quotaSubnets)
	if err != nil {
		panic("pay: lru refuses a constant size: " + err.Error())
	}
	return &quota{all: bucket{burst: quotaAll, rate: quotaAllRate}, subnets: subnets}
}

// allow counts one invoice.
func (q *quota) allow(subnet netip.Prefix, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	b, ok := q.subnets.Get(subnet)
	if !ok {
		b = &bucket{burst: quotaBurst, rate: quotaRate}
		q.subnets.Add(subnet, b)
	}
	if !b.allow(now) {
		return false
	}
	if !q.all.allow(now) {
		b.undo()
		return false
	}
	return true
}

// paid takes one invoice off the count.
func (q *quota) paid(subnet netip.Prefix) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all.undo()
	if b, ok := q.subnets.Peek(subnet); ok {
		b.undo()
	}
}
