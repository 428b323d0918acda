//go:build !linux

package proxy

// splicer would move bytes from one socket to another without their coming into this process.
type splicer struct{}

// lay leaves the copy to buffers of ours.
func (f *flow) lay() error { return nil }

func (f *flow) splice() error { return f.copyThrough() }

func (s *splicer) end() {}
