//go:build !linux

package process

// Unprivileged calls start. Where this is built, root does not obey the permissions of files.
func Unprivileged(start func() error) error { return start() }
