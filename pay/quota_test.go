package pay

import (
	"net/netip"
	"testing"
	"time"

	"paygate/units"
)

func TestUnpaidInvoicesAreBounded(t *testing.T) {
	q, now := newQuota(), time.Unix(1_800_000_000, 0)
	subnet := netip.MustParsePrefix("203.0.113.0/24")
	made := 0
	for range 1000 {
		if q.allow(subnet, now) {
			made++
		}
	}
	if made != quotaBurst {
		t.Errorf("one subnet had %d invoices made at once", made)
	}
	if !q.allow(netip.MustParsePrefix("198.51.100.0/24"), now) {
		t.Error("another subnet suffers for it")
	}
	hash := units.PaymentHash{1}
	q.made(hash, subnet)
	q.paid(hash)
	if !q.allow(subnet, now) {
		t.Error("a paid invoice still counts")
	}
	q.paid(hash)
	if q.allow(subnet, now) {
		t.Error("an invoice that is paid counted twice")
	}
	if !q.allow(subnet, now.Add(time.Minute)) {
		t.Error("time does not heal")
	}
	for i := range 1000 {
		q.allow(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), now)
	}
	if q.allow(netip.MustParsePrefix("192.0.2.0/24"), now) {
		t.Error("all subnets together are not bounded")
	}
}
