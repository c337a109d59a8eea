//go:build linux && !amd64

package qemu

import (
	"errors"
	"time"
)

func runLoop(uint32) (time.Duration, error) {
	return 0, errors.New("the probe knows amd64 only")
}
