//go:build !linux

package matrix

import "testing"

func newGround(t testing.TB, _ bool) ground { return loopback(t) }

func rootless() string { return "network namespaces need Linux" }
