//go:build linux

package processors

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// patience bounds the wait for the kernel to see added processors.
const patience = 5 * time.Second

// Online switches every processor on and returns how many are; it waits for at least want.
func Online(ctx context.Context, want int) (int, error) {
	return online(ctx, "/sys/devices/system/cpu", want)
}

func online(ctx context.Context, root string, want int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		have, err := switchOn(root)
		if err != nil || have >= want {
			return have, err
		}
		select {
		case <-ctx.Done():
			return have, fmt.Errorf("the kernel has %d of %d processors: %w", have, want, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func switchOn(root string) (have int, err error) {
	dirs, err := filepath.Glob(filepath.Join(root, "cpu[0-9]*"))
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, "online")
		state, err := os.ReadFile(file)
		switch {
		case os.IsNotExist(err): // the first one has no switch
		case err != nil:
			return have, err
		case strings.TrimSpace(string(state)) == "0":
			if err := os.WriteFile(file, []byte("1"), 0); err != nil {
				return have, err
			}
		}
		have++
	}
	return have, nil
}
