//go:build !linux

package proxy

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	restful = 0
	beat    = time.Minute
)

// parker would wait on behalf of directions that have nothing to read. Here each waits in a goroutine of its own.
type parker struct {
	running *sync.WaitGroup
	beats   atomic.Uint32
}

func newParker(running *sync.WaitGroup) (*parker, error) { return &parker{running: running}, nil }

func (p *parker) watch()                    {}
func (p *parker) watchFor(*flow, int) error { return errors.ErrUnsupported }
func (p *parker) leave(*flow)               {}
func (p *parker) heats(*flow)               {}
func (p *parker) cool()                     {}
func (p *parker) close() error              { return nil }
