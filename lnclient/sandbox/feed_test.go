package sandbox

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
)

// heard lists what a subscriber with these indexes is sent before invoice number mark, which is added once it listens.
func (node *Node) heard(t *testing.T, added, settled, mark uint64) []string {
	t.Helper()
	w := wired(t, node)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := w.node.SubscribeInvoices(w.ctx(ctx), &lnrpc.InvoiceSubscription{AddIndex: added, SettleIndex: settled})
	check(t, err)
	for node.listeners() == 0 {
		time.Sleep(time.Millisecond)
	}
	w.ask(t, 1000)
	var got []string
	for {
		i, err := stream.Recv()
		check(t, err)
		if i.AddIndex == mark {
			return got
		}
		got = append(got, fmt.Sprintf("%d %s %d", i.AddIndex, i.State, i.SettleIndex))
	}
}

func (node *Node) listeners() int {
	node.net.mu.Lock()
	defer node.net.mu.Unlock()
	return len(node.feeds)
}

// TestSubscribeResume: what is replayed for which indexes, as measured with lnd. There are four invoices; the fourth
// was settled first, then the second.
func TestSubscribeResume(t *testing.T) {
	for _, tt := range []struct {
		name           string
		added, settled uint64
		want           []string
	}{
		{"no index", 0, 0, nil},
		{"settle index alone", 0, 1, []string{"2 SETTLED 2"}},
		{"settle index at the end", 0, 2, nil},
		{"settle index beyond the end", 0, 9, nil},
		{"add index alone", 1, 0, []string{"2 SETTLED 2", "3 OPEN 0", "4 SETTLED 1"}},
		{"both: settled ones twice", 1, 1, []string{"2 SETTLED 2", "3 OPEN 0", "4 SETTLED 1", "2 SETTLED 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, nodes := line(t, Config{}, "a", "b")
			a, b := wired(t, nodes[0]), wired(t, nodes[1])
			var requests [4]string
			for i := range requests {
				requests[i] = b.ask(t, 1000).PaymentRequest
			}
			a.paid(t, requests[3])
			a.paid(t, requests[1])
			if got := nodes[1].heard(t, tt.added, tt.settled, 5); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestFeedIndexes: a live event at or below what the subscriber asked for is not sent.
func TestFeedIndexes(t *testing.T) {
	f := &feed{added: 2, settled: 1, wake: make(chan struct{}, 1)}
	all := feeds{f: {}}
	for i := uint64(1); i <= 3; i++ {
		all.added(&lnrpc.Invoice{AddIndex: i}, i)
		all.settled(&lnrpc.Invoice{SettleIndex: i}, i)
	}
	var got []uint64
	for _, i := range f.queue {
		got = append(got, i.AddIndex, i.SettleIndex)
	}
	if want := []uint64{0, 2, 3, 0, 0, 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestListInvoices: pages from both ends.
func TestListInvoices(t *testing.T) {
	_, nodes := line(t, Config{}, "a", "b")
	a, b := wired(t, nodes[0]), wired(t, nodes[1])
	for range 5 {
		b.ask(t, 1000)
	}
	r, err := b.node.ListInvoices(b.ctx(t.Context()), &lnrpc.ListInvoiceRequest{})
	check(t, err)
	a.paid(t, r.Invoices[1].PaymentRequest)
	for _, tt := range []struct {
		req  *lnrpc.ListInvoiceRequest
		want []uint64
	}{
		{&lnrpc.ListInvoiceRequest{}, []uint64{1, 2, 3, 4, 5}},
		{&lnrpc.ListInvoiceRequest{NumMaxInvoices: 2}, []uint64{1, 2}},
		{&lnrpc.ListInvoiceRequest{NumMaxInvoices: 2, IndexOffset: 2}, []uint64{3, 4}},
		{&lnrpc.ListInvoiceRequest{IndexOffset: 5}, nil},
		{&lnrpc.ListInvoiceRequest{IndexOffset: 99}, nil},
		{&lnrpc.ListInvoiceRequest{NumMaxInvoices: 2, Reversed: true}, []uint64{4, 5}},
		{&lnrpc.ListInvoiceRequest{NumMaxInvoices: 2, Reversed: true, IndexOffset: 4}, []uint64{2, 3}},
		{&lnrpc.ListInvoiceRequest{Reversed: true, IndexOffset: 1}, nil},
		{&lnrpc.ListInvoiceRequest{PendingOnly: true}, []uint64{1, 3, 4, 5}},
		{&lnrpc.ListInvoiceRequest{CreationDateStart: 1 << 40}, nil},
		{&lnrpc.ListInvoiceRequest{CreationDateEnd: 1}, nil},
	} {
		r, err := b.node.ListInvoices(b.ctx(t.Context()), tt.req)
		check(t, err)
		var got []uint64
		for _, i := range r.Invoices {
			got = append(got, i.AddIndex)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.req, got, tt.want)
		}
		if len(got) > 0 && (r.FirstIndexOffset != got[0] || r.LastIndexOffset != got[len(got)-1]) {
			t.Errorf("%v: from %d to %d", tt.req, r.FirstIndexOffset, r.LastIndexOffset)
		}
	}
}
