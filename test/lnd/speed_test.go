package lnd_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/lnclient"
	"paygate/test/lnd"
)

// BenchmarkPayment issues and pays invoices over one channel, so many at once.
func BenchmarkPayment(b *testing.B) {
	n := start(b, []string{"buyer", "seller"}, lnd.Channel{From: "buyer", To: "seller", Capacity: capacity, Balance: buyers})
	buyer, seller := client(b, n.Node("buyer")), client(b, n.Node("seller"))
	for _, atOnce := range []int{1, 16} {
		b.Run(strconv.Itoa(atOnce)+" at once", func(b *testing.B) {
			var begun atomic.Int64
			var workers sync.WaitGroup
			for range atOnce {
				workers.Go(func() {
					for begun.Add(1) <= int64(b.N) {
						payOne(b, buyer, seller)
					}
				})
			}
			workers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
		})
	}
}

func payOne(b *testing.B, buyer, seller *lnclient.Client) {
	inv, err := seller.AddInvoice(b.Context(), lnclient.NewInvoice{Msat: 1000, Expiry: time.Hour})
	if err != nil {
		b.Error(err)
		return
	}
	if r := pay(b.Context(), buyer, inv.Request, inv.Hash); r.err != nil || r.out.State != lnclient.Succeeded {
		b.Errorf("payment is %s (%s), %v", r.out.State, r.out.Reason, r.err)
	}
}
