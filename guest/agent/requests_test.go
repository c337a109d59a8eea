//go:build linux

package agent

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/agent/netconf"
	"github.com/paddock-run/paddock/guest/api"
)

func good() *api.CreateContainerRequest {
	return &api.CreateContainerRequest{
		Id: "c", Spec: []byte(`{"process":{"args":["sh"]}}`),
		Layers: []*api.Layer{{Disk: &api.DiskAddress{}, FsType: "ext4"}},
	}
}

func TestCheckCreate(t *testing.T) {
	if _, err := checkCreate(good()); err != nil {
		t.Fatal(err)
	}
	mount := func(m *api.Mount) func(*api.CreateContainerRequest) {
		return func(r *api.CreateContainerRequest) { r.Mounts = []*api.Mount{m} }
	}
	scratch := func(name string) *api.Mount_Scratch {
		return &api.Mount_Scratch{Scratch: &api.ScratchSource{Name: name}}
	}
	for name, spoil := range map[string]func(*api.CreateContainerRequest){
		"empty id":        func(r *api.CreateContainerRequest) { r.Id = "" },
		"path as id":      func(r *api.CreateContainerRequest) { r.Id = "../x" },
		"long id":         func(r *api.CreateContainerRequest) { r.Id = strings.Repeat("a", 65) },
		"no layer":        func(r *api.CreateContainerRequest) { r.Layers = nil },
		"layer of null":   func(r *api.CreateContainerRequest) { r.Layers[0] = nil },
		"no disk":         func(r *api.CreateContainerRequest) { r.Layers[0].Disk = nil },
		"file system":     func(r *api.CreateContainerRequest) { r.Layers[0].FsType = "xfs" },
		"spec":            func(r *api.CreateContainerRequest) { r.Spec = []byte("{") },
		"no args":         func(r *api.CreateContainerRequest) { r.Spec = []byte(`{"process":{}}`) },
		"relative cwd":    func(r *api.CreateContainerRequest) { r.Spec = []byte(`{"process":{"args":["a"],"cwd":"b"}}`) },
		"window":          func(r *api.CreateContainerRequest) { r.OutputWindow = 1 << 30 },
		"no source":       mount(&api.Mount{Destination: "/a"}),
		"relative target": mount(&api.Mount{Destination: "a", Source: scratch("x")}),
		"root as target":  mount(&api.Mount{Destination: "/..", Source: scratch("x")}),
		"scratch up":      mount(&api.Mount{Destination: "/a", Source: scratch("../x")}),
		"scratch of all":  mount(&api.Mount{Destination: "/a", Source: scratch(".")}),
		"share path":      mount(&api.Mount{Destination: "/a", Source: &api.Mount_Share{Share: &api.ShareSource{ShareId: "a/b"}}}),
		"sandbox file":    mount(&api.Mount{Destination: "/a", Source: &api.Mount_SandboxFile{}}),
		"disk of null":    mount(&api.Mount{Destination: "/a", Source: &api.Mount_Disk{}}),
	} {
		req := good()
		spoil(req)
		if _, err := checkCreate(req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.core.somaxconn":             "/proc/sys/net/core/somaxconn",
		"net/ipv4/conf/eth0.1/rp_filter": "/proc/sys/net/ipv4/conf/eth0.1/rp_filter",
		"net.ipv4.conf.eth0/1.rp_filter": "/proc/sys/net/ipv4/conf/eth0.1/rp_filter",
		"kernel.shm_rmid_forced":         "/proc/sys/kernel/shm_rmid_forced",
		"../../etc/passwd":               "",
		"net/../../x":                    "",
		"":                               "",
		"net":                            "",
		"/etc/passwd":                    "",
	} {
		if got, err := sysctlPath(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}

func FuzzRequests(f *testing.F) {
	raw, err := proto.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, `{"process":{"args":["a"]},"linux":{"resources":{}}}`, "net.core.somaxconn")
	f.Add([]byte{0xff}, `{"mounts":[{}]}`, "a/../b")
	f.Add([]byte{}, `null`, ".")
	f.Fuzz(func(t *testing.T, raw []byte, spec, sysctl string) {
		req := &api.CreateContainerRequest{}
		if proto.Unmarshal(raw, req) == nil {
			checkCreate(req)
		}
		net := &api.Network{}
		if proto.Unmarshal(raw, net) == nil {
			netconf.Check(net)
		}
		if s, err := parseSpec([]byte(spec)); err == nil {
			c := &container{id: "c", user: &api.ResolvedUser{}}
			c.completeSpec(s, req, c.namespaces(nil))
		}
		specDefaults{}.execProcess([]byte(spec), true, 1, 1)
		if path, err := sysctlPath(sysctl); err == nil && (!strings.HasPrefix(path, "/proc/sys/") || strings.Contains(path, "..")) {
			t.Fatalf("%q leads to %q", sysctl, path)
		}
	})
}
