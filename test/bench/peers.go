package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"paygate/test/process"
)

const (
	// peersWave is how many peers are served at a time.
	peersWave = 200
	// beyond is how many are to be refused before the limit counts as reached.
	beyond = 100
	// fullLine is what paygate says then, once.
	fullLine = "no more connections are taken"
)

// peers holds many sessions through one gated paygate, has each of them answered, then tries more than there is room
// for: those have to be refused, and all others to go on as before.
func (b *bench) peers(ctx context.Context) error {
	s, gate := b.subjects[0], b.gates[0]
	empty := s.rss()
	began := time.Now()
	c, err := gather(s, b.o.peers)
	if err != nil {
		return fmt.Errorf("%w%s", err, b.lastWords(s))
	}
	defer c.leave()
	fmt.Printf("%d peers are connected, after %s\n", len(c.all), time.Since(began).Round(100*time.Millisecond))
	if err := b.weigh(ctx, "idle", empty); err != nil {
		return err
	}
	if err := c.begin(); err != nil {
		text, rest, _ := strings.Cut(err.Error(), "\n")
		text = fmt.Sprintf("%s (and %d more)", text, strings.Count(rest, "\n"))
		return fmt.Errorf("not all were unchoked: %s%s", text, b.lastWords(s))
	}
	if err := c.answered(); err != nil {
		return fmt.Errorf("%w%s", err, b.lastWords(s))
	}
	fmt.Printf("each has been unchoked, and has had a block\n")
	if err := b.weigh(ctx, "idle again", empty); err != nil {
		return err
	}
	more, refused, err := b.overfill(ctx, s, len(c.all))
	defer more.leave()
	if err != nil {
		return err
	}
	fmt.Printf("%d more found room, and then %d of %d were refused\n", len(more.all), refused, refused)
	if err := c.answered(); err != nil {
		return fmt.Errorf("after some were refused: %w%s", err, b.lastWords(s))
	}
	fmt.Printf("each of the first %d has had another block\n", len(c.all))
	lines, err := gate.Log()
	if err != nil {
		return err
	}
	said := 0
	for _, l := range lines {
		if strings.Contains(l.Text, fullLine) {
			said++
			fmt.Println(l.Text)
		}
	}
	if said != 1 {
		return fmt.Errorf("%d lines say that there is no room, not one", said)
	}
	if err := gate.CheckLog(); err != nil {
		return err
	}
	c.leave()
	more.leave()
	return b.emptied(ctx, empty)
}

// answered has every downloader ask for a block and waits for it.
func (c *crowd) answered() error {
	var wg sync.WaitGroup
	errs := make([]error, len(c.all))
	places := make(chan struct{}, peersWave)
	for i, l := range c.all {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if errs[i] = l.conn.SetDeadline(time.Now().Add(time.Minute)); errs[i] != nil {
				return
			}
			if _, errs[i] = l.rw.Write(l.ask(nil)); errs[i] == nil {
				errs[i] = l.receive()
			}
		})
	}
	wg.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d got no block: %w", len(failed), len(c.all), failed[0])
	}
	return nil
}

// overfill connects more and more, until `beyond` have been refused. It returns those that found room.
func (b *bench) overfill(ctx context.Context, s *subject, first int) (more *crowd, refused int, err error) {
	more = &crowd{}
	for i := first; refused < beyond; i++ {
		if ctx.Err() != nil {
			return more, refused, ctx.Err()
		}
		l, err := dial(s.front, home(i), false, s.hello(), &more.got)
		switch {
		case errors.Is(err, syscall.EMFILE):
			return more, refused, fmt.Errorf("this process has run out of files before paygate: %w", err)
		case err != nil:
			refused++
		case refused > 0:
			l.hangUp()
			return more, refused, errors.New("there was room again, although nobody has left")
		default:
			more.all = append(more.all, l)
		}
	}
	return more, refused, nil
}

// weigh tells what paygate occupies, once things have settled.
func (b *bench) weigh(ctx context.Context, when string, empty int64) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
	}
	cpu, since := b.subjects[0].cpuTime(), time.Now()
	time.Sleep(5 * time.Second)
	busy := (b.subjects[0].cpuTime() - cpu).Seconds() / time.Since(since).Seconds()
	sessions := b.sessionsOpen(ctx)
	rss := b.subjects[0].rss()
	goroutines, err := b.goroutines(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d sessions, %.0f MiB resident (%.1f MiB without any), %.1f KiB a session; %d goroutines, %.1f %% of a core\n", when, sessions,
		float64(rss)/1024, float64(empty)/1024, float64(rss-empty)/float64(max(1, sessions)), goroutines, 100*busy)
	if sessions != b.o.peers {
		return fmt.Errorf("%d sessions are open, not %d", sessions, b.o.peers)
	}
	return nil
}

func (b *bench) sessionsOpen(ctx context.Context) int {
	st, err := b.gates[0].Status(ctx)
	if err != nil {
		return -1
	}
	return len(st.Sessions)
}

// goroutines is how many paygate has.
func (b *bench) goroutines(ctx context.Context) (n int, err error) {
	path := filepath.Join(b.dir, "goroutines")
	if err := fetch(ctx, b.gates[0], "goroutine?debug=1", path); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(string(text), "goroutine profile: total %d", &n)
	return n, err
}

// emptied waits until all sessions have ended.
func (b *bench) emptied(ctx context.Context, empty int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := process.Poll(ctx, 100*time.Millisecond, func() error {
		if n := b.sessionsOpen(ctx); n != 0 {
			return fmt.Errorf("%d sessions are left", n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	goroutines, err := b.goroutines(ctx)
	fmt.Printf("all have left: %.0f MiB resident (%.1f MiB at first), %d goroutines\n", float64(b.subjects[0].rss())/1024, float64(empty)/1024, goroutines)
	return err
}

// fewFiles has this process, and those that it starts, open at most so many files, whatever the machine would let them.
func fewFiles(most uint64) error {
	if runtime.GOOS != "linux" {
		return errors.New("-peers needs Linux")
	}
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if l.Max < most {
		return fmt.Errorf("the limit of open files is %d here; -files wants %d", l.Max, most)
	}
	l.Cur, l.Max = most, most
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}
