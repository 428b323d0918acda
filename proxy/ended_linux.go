package proxy

import "golang.org/x/sys/unix"

// ended reports whether the other side of a connection has closed it, so that no more than what is there will come.
func ended(fd int) bool {
	list := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	_, err := unix.Poll(list, 0)
	return err == nil && list[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
