package ledger

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// BenchmarkWrites charges many buyers at once; each call is answered when it is on disk.
func BenchmarkWrites(b *testing.B) {
	for _, writers := range []int{1, 16, 500} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { benchmarkWrites(b, writers) })
	}
}

func benchmarkWrites(b *testing.B, writers int) {
	w := newWall()
	l := reopen(b, filepath.Join(b.TempDir(), "ledger.db"), w)
	defer func() { check(b, l.Close()) }()
	for n := range writers {
		pay(b, l, w, n, n, n%10, 1_000_000_000)
	}
	var wg sync.WaitGroup
	calls := make(chan int)
	for range writers {
		wg.Go(func() {
			for n := range calls {
				if _, _, err := l.Charge(context.Background(), Charge{Buyer: peer(n % writers), InfoHash: torrent(n % 10), Price: oneSatPerKiB, Bytes: 16384}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ResetTimer()
	for n := range b.N {
		calls <- n
	}
	close(calls)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}
