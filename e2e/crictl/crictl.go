// Package crictl runs the crictl program, the CRI's own command line client.
package crictl

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/paddock-run/paddock/e2e/checkout"
)

// CLI is crictl, bound to one runtime.
type CLI struct {
	// Path is the program.
	Path string
	// Socket is the runtime's.
	Socket string
}

// Build builds crictl from the module that e2e/go.mod names, into build/bin.
func Build(ctx context.Context) (string, error) {
	root, err := checkout.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "build", "bin", "crictl")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "sigs.k8s.io/cri-tools/cmd/crictl")
	cmd.Dir = filepath.Join(root, "e2e")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build crictl: %w\n%s", err, out)
	}
	return path, nil
}

// Command prepares a call, for callers that need its stdio.
func (c CLI) Command(ctx context.Context, args ...string) *exec.Cmd {
	endpoint := "unix://" + c.Socket
	return exec.CommandContext(ctx, c.Path, append([]string{"-r", endpoint, "-i", endpoint, "--timeout", "120s"}, args...)...)
}

// Run makes a call and returns what it printed to stdout. An error carries what went to stderr.
func (c CLI) Run(ctx context.Context, args ...string) (string, error) {
	cmd := c.Command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("crictl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}
