package volumes

import (
	"context"
	"fmt"
	"time"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/environment"
	"github.com/paddock-run/paddock/e2e/pod"
)

// host is what the images' names begin with.
const host = "volumes.paddock.test"

// container says what a server runs in.
type container struct {
	image   debian.Image
	command []string
	env     map[string]string
	user    int64
	data    string // where the folder of the host is mounted
	memory  int64  // MiB
}

// on is the container with its data on a folder of the host's.
func (c container) on(dir string) pod.Container {
	return pod.Container{
		Image: environment.Reference(host, c.image.Name), Command: c.command, Env: c.env, User: c.user, Memory: c.memory,
		Mounts: map[string]string{c.data: dir},
	}
}

// running is a server's container.
type running struct {
	*pod.Running
	pod *pod.Pod
	dir string // its data, on the host
}

// server is one that keeps its data on a folder of the host's.
type server interface {
	name() string
	container() container
	// use waits until the server answers, and has it make what load needs.
	use(ctx context.Context, r *running) error
	// load has the server store things until it is gone, and notes what it
	// acknowledged. It calls enough, maybe often, when the server may be killed;
	// ctx ends when that has been done. An error says that it failed before.
	load(ctx context.Context, r *running, enough func()) error
	// check waits for the server after the kill, and says whether all that it had
	// acknowledged is there and it can be used on.
	check(ctx context.Context, r *running) (string, error)
}

// groups are the servers that share a pod, the longest first.
func groups() [][]server {
	return [][]server{
		{&mariadb{}, &wordpress{}},
		{&rabbitmq{}},
		{&postgres{}},
		{&jenkins{}},
	}
}

// Result is what came of one server.
type Result struct {
	Server string
	// Passed says what was found, Err what failed.
	Passed string
	Err    error
	Took   time.Duration
}

func (r Result) String() string {
	if r.Err != nil {
		return fmt.Sprintf("%s: failed after %.0f s: %v", r.Server, r.Took.Seconds(), r.Err)
	}
	return fmt.Sprintf("%s: passed in %.0f s: %s", r.Server, r.Took.Seconds(), r.Passed)
}
