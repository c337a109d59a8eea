//go:build linux

package processors

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOnline(t *testing.T) {
	root := t.TempDir()
	add := func(name string, files map[string]string) {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, content := range files {
			if err := os.WriteFile(filepath.Join(root, name, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("cpu0", nil)
	add("cpu1", map[string]string{"online": "0\n"})
	add("cpufreq", nil)
	if n, err := online(t.Context(), root, 0); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if state, _ := os.ReadFile(filepath.Join(root, "cpu1/online")); string(state) != "1" {
		t.Errorf("cpu1 is %q", state)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := online(ctx, root, 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one too many: %v", err)
	}
}
