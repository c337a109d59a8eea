package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// settleTime bounds the wait for an idle machine.
const settleTime = time.Minute

// Settle waits until the machine is idle, so that what one runtime does behind
// a call (Paddock makes sandboxes ahead) is not paid by the other's next.
func Settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		idle, err := idleShare(ctx, 400*time.Millisecond)
		if err != nil || idle > 0.85 {
			return err
		}
		if ctx.Err() != nil {
			return errors.New("the machine does not become idle: nothing can be compared")
		}
	}
}

// idleShare is how much of the processors' time is idle, over a while.
func idleShare(ctx context.Context, while time.Duration) (float64, error) {
	idle, all, err := cpuTicks()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(while):
	case <-ctx.Done():
		return 0, nil
	}
	idleAfter, allAfter, err := cpuTicks()
	return float64(idleAfter-idle) / float64(max(allAfter-all, 1)), err
}

// cpuTicks reads the first line of /proc/stat: user, nice, system, idle, iowait, ...
func cpuTicks() (idle, all uint64, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var t [8]uint64
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return 0, 0, fmt.Errorf("/proc/stat: %w", err)
	}
	for _, n := range t {
		all += n
	}
	return t[3] + t[4], all, nil
}
