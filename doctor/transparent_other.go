//go:build !linux

package doctor

import "errors"

func mayBeTransparent() error { return errors.New("it takes Linux") }
