package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paygate/admin"
	"paygate/test/process"
	"paygate/units"
)

// vitals are what a paygate occupies when it has no connections. Memory is counted after collections, and after the
// runtime has had time to give back what it does not need.
type vitals struct {
	Name        string      `json:"name"`
	RSS         units.Bytes `json:"rss_bytes"`
	Heap        units.Bytes `json:"heap_bytes"`
	Goroutines  int         `json:"goroutines"`
	Descriptors int         `json:"descriptors"`
}

// What may be more at the end than after the warm-up: a cache that fills up, a connection to the node that is being made.
const (
	moreRSS         = 24 * units.MiB
	moreHeap        = 6 * units.MiB
	moreGoroutines  = 12
	moreDescriptors = 8
)

// growth names what has grown.
func growth(before, after []vitals) (grown []string) {
	for i, b := range before {
		a := after[i]
		for _, c := range []struct {
			what           string
			was, is, limit int64
		}{
			{"resident memory (bytes)", int64(b.RSS), int64(a.RSS), int64(moreRSS)},
			{"heap (bytes)", int64(b.Heap), int64(a.Heap), int64(moreHeap)},
			{"goroutines", int64(b.Goroutines), int64(a.Goroutines), moreGoroutines},
			{"descriptors", int64(b.Descriptors), int64(a.Descriptors), moreDescriptors},
		} {
			if c.is > c.was+c.limit {
				grown = append(grown, fmt.Sprintf("%s: %s grew from %d to %d, more than by %d", b.Name, c.what, c.was, c.is, c.limit))
			}
		}
	}
	return grown
}

// vitals waits until nobody is connected and what belongs to connections has gone.
func (g *gate) vitals(ctx context.Context) (v vitals, err error) {
	err = process.Poll(ctx, 200*time.Millisecond, func() error {
		st, err := g.Status(ctx)
		if err != nil {
			return err
		}
		if n := len(st.Sessions); n > 0 {
			return fmt.Errorf("%d connections are open", n)
		}
		return nil
	})
	if err != nil {
		return v, err
	}
	v.Name = g.name
	for range 6 {
		if v.Heap, err = g.heap(ctx); err != nil {
			return v, err
		}
		wait(ctx, time.Second)
	}
	if v.Goroutines, err = g.goroutines(ctx); err != nil {
		return v, err
	}
	if v.RSS, err = g.RSS(); err != nil {
		return v, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.Process().PID()))
	v.Descriptors = len(open)
	return v, err
}

// heap is what is in use after a collection.
func (g *gate) heap(ctx context.Context) (n units.Bytes, err error) {
	text, err := g.profile(ctx, "heap?gc=1&debug=1")
	for line := range strings.Lines(text) {
		if _, err := fmt.Sscanf(line, "# HeapInuse = %d", &n); err == nil {
			return n, nil
		}
	}
	return 0, errorsOr(err, "the heap profile does not tell what is in use")
}

func (g *gate) goroutines(ctx context.Context) (n int, err error) {
	text, err := g.profile(ctx, "goroutine?debug=1")
	if _, scan := fmt.Sscanf(text, "goroutine profile: total %d", &n); scan != nil {
		return 0, errorsOr(err, "the goroutine profile does not tell how many there are")
	}
	return n, err
}

func errorsOr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s", otherwise)
}

// profile asks the status socket.
func (g *gate) profile(ctx context.Context, what string) (string, error) {
	socket := filepath.Join(g.DataDir(), admin.SocketName)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://paygate/debug/pprof/"+what, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(bufio.NewReader(answer.Body))
	return string(text), err
}
