package tests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// annotated gives a container the annotations that the plugin acts on.
func annotated(annotations map[string]string) func(*runtimeapi.ContainerConfig) {
	return func(cfg *runtimeapi.ContainerConfig) { cfg.Annotations = annotations }
}

func wantEvents(t *testing.T, p *nriPlugin, id string, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("events of %s are %v", id, want), func() bool { return slices.Equal(p.events(id), want) || len(p.events(id)) > len(want) })
	if got := p.events(id); !slices.Equal(got, want) {
		t.Errorf("events of %s: %v, want %v", id, got, want)
	}
}

// TestNRIAdjustments has a plugin change a container, which shows inside it, and follows pod and container to their ends.
func TestNRIAdjustments(t *testing.T) {
	plugin := connectPlugin(t, "10")
	dir := hostDir(t, map[string]string{"file": "from the node"})
	if err := os.WriteFile(filepath.Join(dir, "hook.sh"), []byte("#!/bin/sh\necho ran > /hooked\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Labels = map[string]string{"app": "x"} })
	told := plugin.await("RunPodSandbox", p.id).Pod
	v4, _ := p.addresses()
	if told.Name != p.config.GetMetadata().GetName() || told.Uid != p.config.GetMetadata().GetUid() || told.Namespace != "default" ||
		told.Labels["app"] != "x" || told.RuntimeHandler != "lcow" || !slices.Contains(told.Ips, v4) || told.Linux.Namespaces[0].Path == "" {
		t.Errorf("the plugin was told of the pod: %v", told)
	}
	c := p.run("main", "exec sleep 1000", annotated(map[string]string{
		"nri.test/env": "ADDED=by plugin", "nri.test/mount": dir + ":/plugin", "nri.test/annotation": "plugin/says=hello",
		"nri.test/rlimit-nofile": "123", "nri.test/memory": "67108864", "nri.test/pids": "77", "nri.test/oom-score-adj": "321",
		"nri.test/sysctl": "vm.max_map_count=262145", "nri.test/start-hook": "/plugin/hook.sh", "nri.test/update-memory": "50331648",
	}))
	for script, want := range map[string]string{
		"echo $ADDED":                         "by plugin",
		"cat /plugin/file":                    "from the node",
		"touch /plugin/x 2>/dev/null || echo": "",
		"grep 'open files' /proc/1/limits | tr -s ' ' | cut -d ' ' -f 4": "123",
		"cat /sys/fs/cgroup/memory.max":                                  "67108864",
		"cat /sys/fs/cgroup/pids.max":                                    "77",
		"cat /proc/1/oom_score_adj":                                      "321",
		"cat /proc/sys/vm/max_map_count":                                 "262145",
		"cat /hooked":                                                    "ran",
	} {
		if got := c.exec(script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	if got := c.status().GetResources().GetLinux().GetMemoryLimitInBytes(); got != 64<<20 {
		t.Errorf("the CRI tells a memory limit of %d", got)
	}
	made := plugin.await("PostCreateContainer", c.id).Container
	if made.Annotations["plugin/says"] != "hello" || !slices.Contains(made.Env, "ADDED=by plugin") || made.State != api.ContainerState_CONTAINER_CREATED ||
		made.Linux.Resources.Memory.Limit.GetValue() != 64<<20 || !slices.ContainsFunc(made.Mounts, func(m *api.Mount) bool { return m.Destination == "/plugin" && m.Source == dir }) {
		t.Errorf("the plugin was told that it was made as: %v", made)
	}
	_, err := env.client.Runtime.UpdateContainerResources(t.Context(), &runtimeapi.UpdateContainerResourcesRequest{
		ContainerId: c.id, Linux: &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 80 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := plugin.await("UpdateContainer", c.id).Resources.Memory.Limit.GetValue(); got != 80<<20 {
		t.Errorf("the plugin was told an update to %d bytes", got)
	}
	if got := c.exec("cat /sys/fs/cgroup/memory.max"); got != "50331648" {
		t.Errorf("memory limit after an update that the plugin changed: %s", got)
	}
	crictlOut(t, "stop", "-t", "0", c.id)
	crictlOut(t, "stop", "-t", "0", c.id)
	crictlOut(t, "rm", c.id)
	wantEvents(t, plugin, c.id, "CreateContainer", "PostCreateContainer", "StartContainer", "PostStartContainer",
		"UpdateContainer", "PostUpdateContainer", "StopContainer", "RemoveContainer")

	// One that changes limits unasked, and ends by itself.
	c = p.run("unsolicited", "sleep 3", annotated(map[string]string{"nri.test/unsolicited-memory": "33554432"}))
	plugin.await("Updated", c.id)
	if got := c.exec("cat /sys/fs/cgroup/memory.max"); got != "33554432" {
		t.Errorf("memory limit that the plugin set by itself: %s", got)
	}
	c.wait()
	plugin.await("StopContainer", c.id)
	crictlOut(t, "stopp", p.id)
	crictlOut(t, "rmp", p.id)
	wantEvents(t, plugin, p.id, "RunPodSandbox", "StopPodSandbox", "RemovePodSandbox")
	wantEvents(t, plugin, c.id, "CreateContainer", "PostCreateContainer", "StartContainer", "PostStartContainer", "Updated", "StopContainer", "RemoveContainer")
}

// TestNRIFailures has a plugin fail what it is asked, or ask for what cannot be. Nothing half-made is left.
func TestNRIFailures(t *testing.T) {
	plugin := connectPlugin(t, "10")
	bad := sandboxConfig(t, "nri-refused")
	bad.Annotations = map[string]string{"nri.test/fail": "RunPodSandbox"}
	err := crictlErr(t, "runp", "--runtime", "lcow", writeMessage(t, bad))
	if !strings.Contains(err.Error(), "RunPodSandbox fails because it was asked to") {
		t.Errorf("the pod's error: %v", err)
	}
	if got := crictlOut(t, "pods", "-q", "--name", "nri-refused"); got != "" {
		t.Errorf("a refused pod is there: %s", got)
	}
	refused := plugin.await("RemovePodSandbox", "").Pod.Id
	env.record(refused)
	wantEvents(t, plugin, refused, "RunPodSandbox", "StopPodSandbox", "RemovePodSandbox")

	p := runPod(t, nil)
	ensureImage(t, busybox)
	for _, c := range []struct {
		name, value, want string
	}{
		{"nri.test/fail", "CreateContainer", "CreateContainer fails because it was asked to"},
		{"nri.test/poststop-hook", "/bin/true", "hooks.poststop"},
		{"nri.test/args", "/no/such/program", "/no/such/program"}, // the guest finds out
	} {
		cfg := shell("main", "exec sleep 1000")
		cfg.Annotations = map[string]string{c.name: c.value}
		err := crictlErr(t, "create", p.id, writeMessage(t, cfg), p.file)
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: error %v, want one with %q", c.name, c.value, err, c.want)
		}
		if got := crictlOut(t, "ps", "-a", "-q", "--pod", p.id); got != "" {
			t.Errorf("%s=%s: a container is there: %s", c.name, c.value, got)
		}
		gone := plugin.await("RemoveContainer", "").Container.Id
		env.record(gone)
		wantEvents(t, plugin, gone, "CreateContainer", "StopContainer", "RemoveContainer")
	}
	// The name is free again.
	c := p.create(shell("main", "exec sleep 1000"), annotated(map[string]string{"nri.test/fail": "StartContainer"}))
	if err := crictlErr(t, "start", c.id); !strings.Contains(err.Error(), "StartContainer fails") {
		t.Errorf("the start's error: %v", err)
	}
	if st := c.wait(); st.GetReason() != "StartError" {
		t.Errorf("a container that must not start ended with %s", st.GetReason())
	}
	wantEvents(t, plugin, c.id, "CreateContainer", "PostCreateContainer", "StartContainer", "StopContainer")
	c = p.run("update", "exec sleep 1000", annotated(map[string]string{"nri.test/fail": "UpdateContainer"}))
	before := c.exec("cat /sys/fs/cgroup/memory.max")
	_, err = env.client.Runtime.UpdateContainerResources(t.Context(), &runtimeapi.UpdateContainerResourcesRequest{
		ContainerId: c.id, Linux: &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 80 << 20},
	})
	if err == nil || !strings.Contains(err.Error(), "UpdateContainer fails") {
		t.Errorf("the update's error: %v", err)
	}
	if after := c.exec("cat /sys/fs/cgroup/memory.max"); after != before {
		t.Errorf("a refused update changed %s to %s", before, after)
	}
}

// TestNRIJoin has plugins connect while containers come and go: what each was told adds up to what there is.
func TestNRIJoin(t *testing.T) {
	first := connectPlugin(t, "10")
	p := runPod(t, nil)
	ensureImage(t, busybox)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var makers sync.WaitGroup
	for i := range 2 {
		makers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				comeAndGo(t, p, fmt.Sprintf("c%d-%d", i, n), n%3)
			}
		})
	}
	plugins := []*nriPlugin{first}
	for i := 20; i < 28 || i < 100 && first.count("PostCreateContainer") < 8; i++ {
		plugins = append(plugins, connectPlugin(t, fmt.Sprint(i)))
		time.Sleep(500 * time.Millisecond)
	}
	stop()
	makers.Wait()
	want := strings.Fields(crictlOut(t, "ps", "-q", "--no-trunc", "--state", "running", "--pod", p.id))
	slices.Sort(want)
	for i, plugin := range plugins {
		var running []string
		eventually(t, fmt.Sprintf("plugin %d knows what runs", i), func() bool {
			running = replay(t, plugin, p.id)
			return slices.Equal(running, want)
		})
	}
	t.Logf("%d plugins; %d containers were made, %d run", len(plugins), first.count("PostCreateContainer"), len(want))
}

// comeAndGo makes a container: one in three is left running, one ended, one removed.
func comeAndGo(t *testing.T, p *pod, name string, fate int) {
	ctx := context.Background()
	created, err := env.client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId: p.id, Config: criclient.ContainerConfig(name, busybox, "/bin/sleep", "1000"), SandboxConfig: p.config,
	})
	if err != nil {
		t.Errorf("create %s: %v", name, err)
		return
	}
	id := created.GetContainerId()
	env.record(id)
	if _, err := env.client.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: id}); err != nil {
		t.Errorf("start %s: %v", name, err)
	}
	if fate >= 1 {
		if _, err := env.client.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: id}); err != nil {
			t.Errorf("stop %s: %v", name, err)
		}
	}
	if fate == 2 {
		if _, err := env.client.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: id}); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
	}
}

// replay works out which containers of a pod run by what a plugin was told since it was synchronized
// last. An event that does not follow from those before it fails the test.
func replay(t *testing.T, plugin *nriPlugin, pod string) []string {
	t.Helper()
	known := map[string]api.ContainerState{}
	for _, r := range plugin.records() {
		if r.Event == "Synchronize" {
			clear(known)
			for _, c := range r.Containers {
				known[c.Id] = c.State
			}
			continue
		}
		if r.Container == nil {
			continue
		}
		id := r.Container.Id
		_, had := known[id]
		if had == (r.Event == "CreateContainer") && r.Event != "RemoveContainer" {
			t.Errorf("%s of container %s, which was known: %v", r.Event, id, had)
		}
		known[id] = r.Container.State
		if r.Event == "RemoveContainer" {
			delete(known, id)
		}
	}
	var running []string
	for id, state := range known {
		if state == api.ContainerState_CONTAINER_RUNNING {
			running = append(running, id)
		}
	}
	slices.Sort(running)
	return running
}

// TestNRIDaemonKilled kills the daemon. Its plugins connect again and are told what goes on running, as it
// was made; those that the daemon launches are launched anew.
func TestNRIDaemonKilled(t *testing.T) {
	plugin := connectPlugin(t, "10")
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", annotated(map[string]string{"nri.test/env": "ADDED=1"}))
	launched := installPlugin(t)
	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	restart(t)
	eventually(t, "the plugin is synchronized again", func() bool { return plugin.count("Synchronize") == 2 })
	for _, told := range []nriRecord{plugin.await("Synchronize", ""), launched.await("Synchronize", "")} {
		at := slices.IndexFunc(told.Containers, func(other *api.Container) bool { return other.Id == c.id })
		if at < 0 || !slices.ContainsFunc(told.Pods, func(other *api.PodSandbox) bool { return other.Id == p.id }) {
			t.Fatalf("a plugin was not told of the pod and its container: %v", told)
		}
		if got := told.Containers[at]; got.State != api.ContainerState_CONTAINER_RUNNING || !slices.Contains(got.Env, "ADDED=1") {
			t.Errorf("a plugin was told of a container that goes on: %v", got)
		}
	}
	if got := launched.await("Configure", ""); got.Runtime != "paddock" || got.Version == "" {
		t.Errorf("the launched plugin was configured by %s %s", got.Runtime, got.Version)
	}
	crictlOut(t, "stop", "-t", "0", c.id)
	for _, plugin := range []*nriPlugin{plugin, launched} {
		plugin.await("StopContainer", c.id)
	}
}

// installPlugin has the daemon launch a plugin from its next start on, until the test has ended.
func installPlugin(t *testing.T) *nriPlugin {
	t.Helper()
	exe, err := buildPlugin()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, p := env.daemon.NRIPluginDir(), &nriPlugin{t: t, file: filepath.Join(t.TempDir(), "launched")}
	for path, content := range map[string][]byte{filepath.Join(dir, "05-launched"): program, filepath.Join(dir+".conf", "launched.conf"): []byte(p.file)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		if err := env.daemon.Stop(); err != nil {
			t.Error(err)
		}
		restart(t)
	})
	return p
}
