package bridge

import (
	"context"
	"io"
	"testing"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// hosted is a container's document for a Linux guest, which has a specification of
// the Open Container Initiative in it.
type hosted struct {
	SchemaVersion    schema.Version
	OciBundlePath    string
	OciSpecification any
	ScratchDirPath   string
}

type object = map[string]any

func document(id string, args ...string) hosted {
	var namespaces []object
	for _, kind := range []string{"pid", "ipc", "uts", "mount"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	return hosted{
		SchemaVersion: schema.Version{Major: 2, Minor: 1}, OciBundlePath: "/run/bundles/" + id, ScratchDirPath: "/run/scratch",
		OciSpecification: object{
			"ociVersion": "1.0.2", "hostname": id, "root": object{"path": "/rootfs"}, "process": process(false, args),
			"mounts": []object{{"destination": "/proc", "type": "proc", "source": "proc"},
				{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
				{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": []string{"newinstance", "ptmxmode=0666"}}},
			"windows": object{"network": object{"networkNamespace": id}}, // the service has room for one container in each
			"linux":   object{"namespaces": namespaces, "resources": object{}},
		},
	}
}

func process(terminal bool, args []string) object {
	return object{"terminal": terminal, "args": args, "env": []string{"PATH=/bin"}, "cwd": "/", "user": object{"uid": 0, "gid": 0}}
}

// further is another process in a container, with its output.
func further(terminal bool, args ...string) bridge.ProcessParameters {
	return bridge.ProcessParameters{OciProcess: process(terminal, args), CreateStdOutPipe: true}
}

type executor func(context.Context, bridge.ProcessParameters) (*bridge.Process, error)

// start starts a process whose streams end with the test.
func (s *suite) start(t *testing.T, execute executor, params bridge.ProcessParameters) *bridge.Process {
	t.Helper()
	p, err := execute(patience(t), params)
	if err != nil {
		t.Fatalf("execute %+v: %v", params, err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// wait drops what is left of the output, and waits.
func wait(t *testing.T, p *bridge.Process, want uint32) {
	t.Helper()
	for _, r := range []io.Reader{p.Stdout(), p.Stderr()} {
		if r != nil {
			go io.Copy(io.Discard, r)
		}
	}
	got, err := p.Wait(patience(t))
	if err != nil || got != want {
		t.Errorf("process %d ended with %d, %v; want %d", p.PID(), got, err, want)
	}
}
