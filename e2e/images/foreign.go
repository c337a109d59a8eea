package images

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// NATS is the NATS message server for Windows, built unchanged from its module,
// with what its makers' own Windows image sets. moduleDir is the folder of e2e/go.mod.
func NATS(moduleDir string) (v1.Image, error) {
	dir, err := os.MkdirTemp("", "paddock-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "nats-server.exe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "github.com/nats-io/nats-server/v2")
	cmd.Dir, cmd.Env = filepath.Join(moduleDir, "foreign"), append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the NATS server: %w\n%s", err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	return Windows(v1.Config{
		Entrypoint: []string{"nats-server"}, Cmd: []string{"--port", "4222", "--http_port", "8222"},
		WorkingDir: `C:\nats`, Env: []string{"NATS_DOCKERIZED=1"},
	}, Tree{"Files/nats": Dir(0o755), "Files/nats/nats-server.exe": {Mode: 0o755, Content: program}})
}
