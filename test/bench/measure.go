package main

import (
	"crypto/rc4"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	gib        = float64(1 << 30)
	clockTicks = 100 // per second, in /proc; the kernel's interface is fixed at that
	warmUp     = 300 * time.Millisecond
)

// samples are the figures of several rounds.
type samples struct{ of []float64 }

func (s *samples) add(x float64) { s.of = append(s.of, x) }

// median is NaN if there is none.
func (s *samples) median() float64 {
	if s == nil || len(s.of) == 0 {
		return math.NaN()
	}
	sorted := slices.Clone(s.of)
	slices.Sort(sorted)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (s *subject) at(of *map[int]*samples, conns int) *samples {
	if *of == nil {
		*of = map[int]*samples{}
	}
	if (*of)[conns] == nil {
		(*of)[conns] = &samples{}
	}
	return (*of)[conns]
}

// window is how many requests one of so many downloaders keeps outstanding.
func window(conns int) int { return max(16, 128/conns) }

// crowd is a number of downloaders at one relay.
type crowd struct {
	all []*leecher
	got atomic.Int64
	wg  sync.WaitGroup
	err atomic.Pointer[error]
}

// gather connects n downloaders, some at a time.
func gather(s *subject, n int) (*crowd, error) {
	c := &crowd{all: make([]*leecher, n)}
	sem := make(chan struct{}, 32)
	for i := range n {
		c.wg.Go(func() {
			sem <- struct{}{}
			defer func() { <-sem }()
			if c.err.Load() != nil {
				return
			}
			l, err := dial(s.front, home(s.homes+i), s.farMSE, s.hello(), &c.got)
			if err != nil {
				c.err.CompareAndSwap(nil, &err)
				return
			}
			c.all[i] = l
		})
	}
	c.wg.Wait()
	if err := c.err.Load(); err != nil {
		c.leave()
		return nil, *err
	}
	return c, nil
}

// begin waits until every downloader has been unchoked.
func (c *crowd) begin() error {
	errs := make(chan error, len(c.all))
	for _, l := range c.all {
		go func() { errs <- l.begin() }()
	}
	var err error
	for range c.all {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (c *crowd) leave() {
	for _, l := range c.all {
		if l != nil {
			_ = l.conn.Close()
		}
	}
	c.wg.Wait()
}

// throughput runs downloads at full speed for a slice of time.
func (b *bench) throughput(s *subject, conns int) error {
	c, err := gather(s, conns)
	if err != nil {
		return err
	}
	defer c.leave()
	if err := c.begin(); err != nil {
		return err
	}
	for _, l := range c.all {
		c.wg.Go(func() { _ = l.download(window(conns)) }) // until it is closed
	}
	time.Sleep(min(warmUp, b.o.slice))
	before, cpu, began := c.got.Load(), s.cpuTime(), time.Now()
	time.Sleep(b.o.slice)
	bytes, spent, took := float64(c.got.Load()-before), s.cpuTime()-cpu, time.Since(began)
	if bytes == 0 {
		return fmt.Errorf("nothing came through %d connections", conns)
	}
	s.at(&s.throughput, conns).add(bytes / gib / took.Seconds())
	s.at(&s.cpu, conns).add(spent.Seconds() / (bytes / gib))
	return nil
}

// cpuTime is what the threads of a relay's processes have used; of socat, which starts a process for each connection,
// also what those used that have ended.
func (s *subject) cpuTime() time.Duration {
	if s.proc == nil {
		return 0
	}
	var sum time.Duration
	for _, pid := range group(s.proc.PID()) {
		sum += threads(pid) + ended(pid)
	}
	return sum
}

// threads reads the time on the CPU of every thread, to the nanosecond. (sched-stats in the kernel's documentation)
func threads(pid int) (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// group lists the processes of a process group, which each relay has to itself.
func group(pgid int) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if g, err := syscall.Getpgid(pid); err == nil && g == pgid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ended is the user and system time of children that have ended, in steps of 10 ms. (proc(5))
func ended(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0 // it has just ended itself
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for i := 13; i <= 14 && i < len(fields); i++ {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// rss is the memory that a relay occupies now, in KiB.
func (s *subject) rss() (sum int64) {
	for _, pid := range group(s.proc.PID()) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				sum += kib
			}
		}
	}
	return sum
}

// memory holds idle sessions open and looks at what they cost.
func (b *bench) memory(s *subject) error {
	if s.proc == nil {
		return nil
	}
	switch s.name {
	case "socat":
		return nil // thousands of processes, to show what everybody knows
	case "splice":
		return nil // io.Copy holds two pipes for each session: more descriptors than a process may have here
	}
	before := s.rss()
	c, err := gather(s, b.o.idle)
	if err != nil {
		return err
	}
	defer c.leave()
	time.Sleep(settle)
	s.idle.add(float64(s.rss()-before) / float64(b.o.idle))
	return nil
}

// settle is how long idle sessions are left alone before they are weighed, so that a runtime that gives memory back
// has had its time to.
const settle = 12 * time.Second

// sessions opens, shakes hands and closes, again and again.
func (b *bench) sessions(s *subject) error {
	if s.name == "socat" {
		return nil // see memory
	}
	const workers = 8
	var opened atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	end := time.Now().Add(b.o.slice / 2)
	began := time.Now()
	for i := range workers {
		wg.Go(func() {
			for time.Now().Before(end) && failed.Load() == nil {
				var got atomic.Int64
				l, err := dial(s.front, home(i), s.farMSE, s.hello(), &got)
				if err != nil {
					failed.Store(&err)
					return
				}
				l.hangUp()
				opened.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	s.opened.add(float64(opened.Load()) / time.Since(began).Seconds())
	return nil
}

// cipherPass is the CPU time of one pass of RC4 over a GiB, in blocks of 16 KiB. It is measured by the clock of the
// thread: nothing else runs between two readings of it.
func cipherPass() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := rc4.NewCipher([]byte("a key of twenty byte"))
	if err != nil {
		panic(err) // the key's length is right
	}
	buf := make([]byte, block)
	const n = 4096 // 64 MiB
	before := threadTime()
	for range n {
		c.XORKeyStream(buf, buf)
	}
	return (threadTime() - before).Seconds() * gib / (n * block)
}
