package cri

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest/idmap"
)

func mapping(container, host, length uint32) []*rt.IDMapping {
	return []*rt.IDMapping{{ContainerId: container, HostId: host, Length: length}}
}

func userNamespace(ids []*rt.IDMapping) *rt.UserNamespace {
	return &rt.UserNamespace{Mode: rt.NamespaceMode_POD, Uids: ids, Gids: ids}
}

func TestCheckUserNamespace(t *testing.T) {
	good := mapping(0, 65536, 65536)
	for _, c := range []struct {
		name    string
		options *rt.NamespaceOption
		text    string // of the error; "" for none
	}{
		{"none", &rt.NamespaceOption{}, ""},
		{"the node's", &rt.NamespaceOption{Pid: rt.NamespaceMode_NODE, UsernsOptions: &rt.UserNamespace{Mode: rt.NamespaceMode_NODE}}, ""},
		{"kubelet's", &rt.NamespaceOption{Pid: rt.NamespaceMode_CONTAINER, UsernsOptions: userNamespace(good)}, ""},
		{"critest's", &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(0, 1000, 100000))}, ""},
		{"up to the last id", &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(0, idmap.None-65536, 65536))}, ""},
		{"the node's with mappings", &rt.NamespaceOption{UsernsOptions: &rt.UserNamespace{Mode: rt.NamespaceMode_NODE, Uids: good}}, "although its mode is NODE"},
		{"a container's", &rt.NamespaceOption{UsernsOptions: &rt.UserNamespace{Mode: rt.NamespaceMode_CONTAINER}}, "cannot be CONTAINER"},
		{"a target's", &rt.NamespaceOption{UsernsOptions: &rt.UserNamespace{Mode: rt.NamespaceMode_TARGET}}, "cannot be TARGET"},
		{"unknown mode", &rt.NamespaceOption{UsernsOptions: &rt.UserNamespace{Mode: 9}}, "userns_options.mode"},
		{"no mapping", &rt.NamespaceOption{UsernsOptions: userNamespace(nil)}, "0 mappings"},
		{"nil mapping", &rt.NamespaceOption{UsernsOptions: userNamespace([]*rt.IDMapping{nil})}, "length 0"},
		{"two lines", &rt.NamespaceOption{UsernsOptions: userNamespace(append(mapping(0, 1000, 100000), mapping(0, 2000, 100000)...))}, "2 mappings"},
		{"no groups", &rt.NamespaceOption{UsernsOptions: &rt.UserNamespace{Mode: rt.NamespaceMode_POD, Uids: good}}, ".gids has 0 mappings"},
		{"other groups", &rt.NamespaceOption{UsernsOptions: &rt.UserNamespace{Mode: rt.NamespaceMode_POD, Uids: good, Gids: mapping(0, 131072, 65536)}}, ".gids differs"},
		{"no ids", &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(0, 65536, 0))}, "length 0"},
		{"without root", &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(1, 65536, 65536))}, "container id 1"},
		{"overflow", &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(0, idmap.None, 65536))}, "exceed the highest id"},
		{"one too many", &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(0, idmap.None-65535, 65536))}, "exceed the highest id"},
		{"host network", &rt.NamespaceOption{Network: rt.NamespaceMode_NODE, UsernsOptions: userNamespace(good)}, "network cannot be NODE"},
		{"host PID", &rt.NamespaceOption{Pid: rt.NamespaceMode_NODE, UsernsOptions: userNamespace(good)}, "pid cannot be NODE"},
		{"host IPC", &rt.NamespaceOption{Ipc: rt.NamespaceMode_NODE, UsernsOptions: userNamespace(good)}, "ipc cannot be NODE"},
	} {
		h := newHarness(t, testConfig())
		cfg := goodSandbox()
		cfg.Linux.SecurityContext.NamespaceOptions = c.options
		_, err := h.pods.RunPodSandbox(testContext(t), &rt.RunPodSandboxRequest{Config: cfg})
		switch {
		case c.text == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.text != "" && (status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: %v, want InvalidArgument with %q", c.name, err, c.text)
		}
	}
}

// TestUserNamespaceIsKept: what was asked for is what the runtime gets and what statuses tell.
func TestUserNamespaceIsKept(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	ids := mapping(0, 65536, 65536)
	options := &rt.NamespaceOption{Pid: rt.NamespaceMode_CONTAINER, UsernsOptions: userNamespace(ids)}
	cfg := goodSandbox()
	cfg.Linux.SecurityContext.NamespaceOptions = options
	sb, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	want := idmap.Range{Host: 65536, Size: 65536}
	if got := h.rt.sandboxes[sb.PodSandboxId].Config.UserNamespace; got == nil || *got != want {
		t.Errorf("the sandbox is asked for with %v", got)
	}
	st, err := h.pods.PodSandboxStatus(ctx, &rt.PodSandboxStatusRequest{PodSandboxId: sb.PodSandboxId})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(options, st.Status.Linux.Namespaces.Options, protocmp.Transform()); diff != "" {
		t.Errorf("the status's namespaces: %s", diff)
	}
	container := goodContainer()
	create := func() (string, error) {
		resp, err := h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: sb.PodSandboxId, Config: container, SandboxConfig: cfg})
		return resp.GetContainerId(), err
	}
	for name, other := range map[string]*rt.UserNamespace{
		"none": nil, "the node's": {Mode: rt.NamespaceMode_NODE}, "another": userNamespace(mapping(0, 131072, 65536)),
	} {
		container.Linux.SecurityContext.NamespaceOptions = &rt.NamespaceOption{UsernsOptions: other}
		if _, err := create(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "must be those of the sandbox") {
			t.Errorf("a container with %s: %v", name, err)
		}
	}
	container.Linux.SecurityContext.NamespaceOptions = options
	container.Mounts[0].UidMappings, container.Mounts[0].GidMappings = ids, ids
	id, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if got := h.rt.containers[id].Config.Mounts[0].IDs; got == nil || *got != want {
		t.Errorf("the mount is asked for with %v", got)
	}
	cs, err := h.pods.ContainerStatus(ctx, &rt.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(container.Mounts, cs.Status.Mounts, protocmp.Transform()); diff != "" {
		t.Errorf("the status's mounts: %s", diff)
	}
}
