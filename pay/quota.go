package pay

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"paygate/units"
)

const (
	quotaSubnets = 4096 // subnets that are remembered; whoever is forgotten begins anew
	quotaBurst   = 20   // unpaid invoices that one subnet may have made at once
	quotaRate    = 1.0 / 30
	quotaAll     = 200 // and all subnets together
	quotaAllRate = 1.0
	quotaOpen    = 8192 // invoices of which it is remembered for whom they were made: more than can be open at once
)

// quota bounds how many invoices that nobody pays can be made, so that no one can fill the node's database. A paid
// one does not count.
type quota struct {
	mu      sync.Mutex
	all     bucket
	subnets *lru.Cache[netip.Prefix, *bucket]
	open    *lru.Cache[units.PaymentHash, netip.Prefix]
}

func newQuota() *quota {
	subnets, err := lru.New[netip.Prefix, *bucket](quotaSubnets)
	open, err2 := lru.New[units.PaymentHash, netip.Prefix](quotaOpen)
	if err := errors.Join(err, err2); err != nil {
		panic("pay: lru refuses a constant size: " + err.Error())
	}
	return &quota{all: bucket{burst: quotaAll, rate: quotaAllRate}, subnets: subnets, open: open}
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
		b.forget(1)
		return false
	}
	return true
}

// made remembers for whom an invoice that was allowed has been made.
func (q *quota) made(hash units.PaymentHash, subnet netip.Prefix) { q.open.Add(hash, subnet) }

// paid takes an invoice off the count, whatever has become of the connection for which it was made.
func (q *quota) paid(hash units.PaymentHash) {
	q.mu.Lock()
	defer q.mu.Unlock()
	subnet, ok := q.open.Peek(hash)
	if !ok {
		return
	}
	q.open.Remove(hash)
	q.all.forget(1)
	if b, ok := q.subnets.Peek(subnet); ok {
		b.forget(1)
	}
}
