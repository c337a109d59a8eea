package imageservice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPinnedNames(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	got := Config{PinnedImages: []string{
		"pause", "example.org/app:1", "example.org/app:1@" + digest, digest, strings.Repeat("cd", 32),
	}}.pinned()
	want := map[string]bool{
		"docker.io/library/pause:latest": true, "example.org/app:1": true, "example.org/app@" + digest: true,
		digest: true, "sha256:" + strings.Repeat("cd", 32): true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
