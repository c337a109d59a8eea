//go:build linux

package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
)

func goodWindows() *api.CreateContainerRequest {
	req := good()
	req.Spec = []byte(`{"process":{"args":["x"]}}`)
	req.Windows = &api.WindowsContainer{Wine: req.Layers[0], Process: &api.WindowsProcess{Args: []string{"app.exe"}, Env: []string{"A=B"}}}
	return req
}

func TestCheckCreateWindows(t *testing.T) {
	req := goodWindows()
	req.Mounts = []*api.Mount{
		{Destination: `c:\Data\In`, Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "x", CopyUpFrom: `C:/Data`}}},
		{Destination: "/etc/hosts", LinuxPath: true, Source: &api.Mount_SandboxFile{SandboxFile: api.SandboxFile_SANDBOX_FILE_HOSTS}},
	}
	spec, err := checkCreate(req)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(spec.Process.Args[0], "wine64") || spec.Process.Cwd != "/c" {
		t.Errorf("it runs %v in %s", spec.Process.Args, spec.Process.Cwd)
	}
	if d := req.Mounts[0].Destination; d != "/c/Data/In" || req.Mounts[1].Destination != "/etc/hosts" || req.Mounts[0].GetScratch().CopyUpFrom != "/c/Data" {
		t.Errorf("mounts %v", req.Mounts)
	}
	mount := func(destination string) func(*api.CreateContainerRequest) {
		return func(r *api.CreateContainerRequest) {
			r.Mounts = []*api.Mount{{Destination: destination, Source: &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: "x"}}}}
		}
	}
	for name, spoil := range map[string]func(*api.CreateContainerRequest){
		"no disk":       func(r *api.CreateContainerRequest) { r.Windows.Wine = nil },
		"no process":    func(r *api.CreateContainerRequest) { r.Windows.Process = nil },
		"no program":    func(r *api.CreateContainerRequest) { r.Windows.Process.Args = []string{""} },
		"no variable":   func(r *api.CreateContainerRequest) { r.Windows.Process.Env = []string{"=x"} },
		"pipe":          mount(`\\.\pipe\docker`),
		"another drive": mount(`D:\data`),
		"the drive":     mount(`C:\`),
		"climbing":      mount(`C:\..\..`),
		"relative":      mount(`data`),
	} {
		req := goodWindows()
		spoil(req)
		if _, err := checkCreate(req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSpelledPath(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"c/windows/system32/drivers/etc", "c/Data", "c/data"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A link out of the container leads nowhere.
	if err := os.Symlink("/etc", filepath.Join(root, "c/Out")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/c/Windows/System32/drivers/etc/hosts": "/c/windows/system32/drivers/etc/hosts",
		"/c/Data/X":                             "/c/Data/X",
		"/c/DATA2/x":                            "/c/DATA2/x",
		"/c/out/PASSWD":                         "/c/Out/PASSWD",
		"/etc/hosts":                            "/etc/hosts",
	} {
		if got := spelledPath(root, path); got != want {
			t.Errorf("%s is spelled %s, want %s", path, got, want)
		}
	}
}

// TestAProcessesFolderIsItsContainersToSpoil has a container put links where the agent reads and writes.
func TestAProcessesFolderIsItsContainersToSpoil(t *testing.T) {
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("7"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() processFolder {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { root.Close() })
		return processFolder{root}
	}
	for _, name := range []string{"exit", "event.new"} {
		if err := os.Symlink(secret, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := open().ReadFile("exit"); err == nil {
		t.Errorf("read %q through a link", b)
	}
	if err := open().WriteFile("event.new", []byte("x"), 0o644); err == nil {
		t.Error("wrote through a link")
	}
	if b, _ := os.ReadFile(secret); string(b) != "7" {
		t.Errorf("the file is %q now", b)
	}
	if err := os.Remove(filepath.Join(dir, "exit")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "exit"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := open().ReadFile("exit"); err == nil {
		t.Error("read a folder")
	}
}
