package pay

import (
	"context"
	"sync"
)

// chores are what a conversation has done for it outside of its turns: the node and the wire take their time.
type chores struct {
	mu      sync.Mutex
	stops   map[int]context.CancelFunc // mu; nil: nothing is under way
	last    int                        // mu: the youngest one's number
	done    []finished                 // mu: what to do in the next turn
	over    bool                       // mu
	running sync.WaitGroup
}

// finished is a chore, and what it has left to do with the context that it had.
type finished struct {
	number int
	rest   func()
}

// start runs work in a goroutine. What it returns is to be done by report, of which ring is told, unless end is called before.
func (c *chores) start(ctx context.Context, ring func(), work func(context.Context) func()) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	if c.over {
		cancel()
	}
	if c.stops == nil {
		c.stops = map[int]context.CancelFunc{}
	}
	c.last++
	number := c.last
	c.stops[number] = cancel
	c.mu.Unlock()
	c.running.Go(func() {
		rest := work(ctx)
		c.mu.Lock()
		c.done = append(c.done, finished{number, rest})
		c.mu.Unlock()
		ring()
	})
}

// report does what chores that have finished have left to do.
func (c *chores) report() {
	c.mu.Lock()
	done := c.done
	c.done = nil
	c.mu.Unlock()
	for _, f := range done {
		f.rest()
		c.forget(f.number)
	}
}

func (c *chores) forget(number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stops[number]()
	if delete(c.stops, number); len(c.stops) == 0 {
		c.stops = nil
	}
}

// end stops all chores and waits for them. What they have left to do is not done.
func (c *chores) end() {
	c.mu.Lock()
	c.over = true
	for _, stop := range c.stops {
		stop()
	}
	c.mu.Unlock()
	c.running.Wait()
}
