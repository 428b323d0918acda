package main

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// latencyConns are the downloaders among whom half the load is spread.
const latencyConns = 16

// latency asks for single blocks at a steady pace, at half the load that haproxy carried with 16 connections in this
// round (or the relay itself, if that is less), and notes how long each took. A block counts from when it
// should have been asked for, so that one that is late does not hide those behind it.
func (b *bench) latency(s *subject) error {
	rate := b.halfLoad(s)
	if rate == 0 {
		return nil
	}
	c, err := gather(s, latencyConns)
	if err != nil {
		return err
	}
	defer c.leave()
	if err := c.begin(); err != nil {
		return err
	}
	every := time.Duration(float64(latencyConns*block) / (rate * gib) * float64(time.Second))
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	errs := make(chan error, latencyConns)
	for i, l := range c.all {
		wg.Go(func() {
			took, err := l.pace(every, every*time.Duration(i)/latencyConns, b.o.slice)
			errs <- err
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	wg.Wait()
	close(errs)
	var failed error
	for err := range errs {
		failed = errors.Join(failed, err)
	}
	if failed != nil || len(all) == 0 {
		return errors.Join(errors.New("blocks at half load"), failed)
	}
	slices.Sort(all)
	s.p50.add(milliseconds(all[len(all)/2]))
	s.p99.add(milliseconds(all[len(all)*99/100]))
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// halfLoad is in GiB a second.
func (b *bench) halfLoad(s *subject) (load float64) {
	for _, yard := range append(b.named("haproxy"), s) {
		if x := yard.throughput[latencyConns]; x != nil && len(x.of) > 0 {
			last := x.of[len(x.of)-1]
			if load == 0 || last < load {
				load = last
			}
		}
	}
	return load / 2
}

func (b *bench) named(name string) []*subject {
	i := slices.IndexFunc(b.subjects, func(s *subject) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return b.subjects[i : i+1 : i+1]
}

// pace asks for a block every so often and returns how long each took to come.
func (l *leecher) pace(every, offset, lasts time.Duration) (took []time.Duration, err error) {
	n := int(lasts / every)
	began := time.Now().Add(offset)
	due := func(i int) time.Time { return began.Add(time.Duration(i) * every) }
	done := make(chan error, 1)
	go func() {
		var b []byte
		for i := range n {
			time.Sleep(time.Until(due(i)))
			b = l.ask(b[:0])
			if _, err := l.rw.Write(b); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	if err := l.conn.SetReadDeadline(began.Add(lasts + 20*time.Second)); err != nil {
		return nil, err
	}
	took = make([]time.Duration, 0, n)
	for i := range n {
		if err := l.receive(); err != nil {
			_ = l.conn.Close()
			return nil, errors.Join(err, <-done)
		}
		took = append(took, time.Since(due(i)))
	}
	return took, <-done
}

// hangUp closes at once, and leaves no port waiting.
func (l *leecher) hangUp() {
	_ = l.conn.(*net.TCPConn).SetLinger(0) // at worst the port is used again later
	_ = l.conn.Close()
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has that clock
	}
	return time.Duration(t.Nano())
}
