package vmtest

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// handshake proves that the agent is there.
func handshake(t *testing.T, s *suite, v vm.VM) {
	t.Helper()
	if err := tryHandshake(s.context(t), v); err != nil {
		t.Fatalf("handshake: %v", err)
	}
}

func tryHandshake(ctx context.Context, v vm.VM) error {
	conn, err := v.Dial(ctx, api.ControlPort)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	_, err = api.NewAgentClient(client).Handshake(ctx, &api.HandshakeRequest{ProtocolMin: api.ProtocolMin, ProtocolMax: api.ProtocolMax})
	return err
}

func testLife(t *testing.T, s *suite) {
	v := s.create(t, "life")
	if _, err := s.host.Create(s.context(t), vm.Config{ID: "life", GuestOS: guest.Linux}); !errors.Is(err, vm.ErrExists) {
		t.Errorf("create again: %v, want ErrExists", err)
	}
	for range 3 {
		handshake(t, s, v)
	}
	begin := time.Now()
	if c, err := v.Dial(s.context(t), 9); err == nil {
		t.Errorf("dialled %v, where nobody listens", c)
	} else if time.Since(begin) > patience/2 {
		t.Errorf("a refused dial took %v", time.Since(begin))
	}
	if v.ShareChannel() == "" {
		t.Error("no share channel")
	}
	if st, err := v.Stats(s.context(t)); err != nil || st.CPU <= 0 || st.MemoryBytes == 0 || st.Time.IsZero() {
		t.Errorf("stats %+v, %v", st, err)
	}
	testResize(t, s, v)
	if err := v.Release(); err == nil {
		t.Error("released a running VM")
	}
	if k := v.ExitReason().Kind; k != 0 {
		t.Errorf("a running VM has exit kind %d", k)
	}
	if err := v.Shutdown(s.context(t)); err != nil {
		t.Fatalf("shutdown: %v", err)
	}
	ended(t, v, vm.ExitShutdown)
	refusesAll(t, s, v)
	release(t, v)
	again := s.create(t, "life") // the id is free again
	if err := v.Release(); err != nil {
		t.Errorf("release of the id's first holder: %v", err)
	}
	handshake(t, s, again)
	if err := again.Terminate(s.context(t)); err != nil {
		t.Fatal(err)
	}
	release(t, again)
}

// testResize: a VM of 256 MiB and one processor may be unable to grow, but then says so.
func testResize(t *testing.T, s *suite, v vm.VM) {
	t.Helper()
	for _, size := range []vm.Resources{
		{MemoryBytes: 512 << 20}, {MemoryBytes: 512 << 20}, {CPUs: 2}, {CPUs: 2}, {MemoryBytes: 640 << 20, CPUs: 2},
	} {
		if err := v.Resize(s.context(t), size); err != nil && !errors.Is(err, vm.ErrUnsupported) {
			t.Errorf("grow to %+v: %v", size, err)
		}
	}
	for _, size := range []vm.Resources{{}, {MemoryBytes: 256 << 20}, {CPUs: 1}, {MemoryBytes: vm.MinMemory, CPUs: 1}} {
		if err := v.Resize(s.context(t), size); err != nil {
			t.Errorf("shrink to %+v: %v", size, err)
		}
	}
	if err := v.Resize(s.context(t), vm.Resources{CPUs: vm.MaxCPUs}); !errors.Is(err, vm.ErrUnsupported) {
		t.Errorf("%d processors: %v, want ErrUnsupported", vm.MaxCPUs, err)
	}
	if err := v.Resize(s.context(t), vm.Resources{MemoryBytes: vm.MaxMemory}); !errors.Is(err, vm.ErrUnsupported) {
		t.Errorf("%d bytes of memory: %v, want ErrUnsupported", uint64(vm.MaxMemory), err)
	}
}

// refusesAll checks that an ended VM says so.
func refusesAll(t *testing.T, s *suite, v vm.VM) {
	t.Helper()
	ctx := s.context(t)
	_, dial := v.Dial(ctx, api.ControlPort)
	_, attach := v.AttachDisk(ctx, vm.Disk{Path: s.Disk(t)})
	_, stats := v.Stats(ctx)
	for call, err := range map[string]error{
		"Dial": dial, "AttachDisk": attach, "Stats": stats,
		"DetachDisk": v.DetachDisk(ctx, vm.DiskAddress{}),
		"AttachNIC":  v.AttachNIC(ctx, vm.NIC{ID: "a", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Endpoint: vm.TapEndpoint{}}),
		"DetachNIC":  v.DetachNIC(ctx, "a"),
		"JoinCgroup": v.JoinCgroup(ctx, "/pods"),
		"Resize":     v.Resize(ctx, vm.Resources{MemoryBytes: 512 << 20}),
		"Shutdown":   v.Shutdown(ctx), "Terminate": v.Terminate(ctx),
	} {
		if !errors.Is(err, vm.ErrExited) {
			t.Errorf("%s on an ended VM: %v, want ErrExited", call, err)
		}
	}
}

func testTerminate(t *testing.T, s *suite) {
	v := s.create(t, "terminated")
	conn, err := v.Dial(s.context(t), api.ControlPort)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := v.Terminate(s.context(t)); err != nil {
		t.Fatal(err)
	}
	ended(t, v, vm.ExitTerminated)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading from an ended VM: %v", err)
	}
	release(t, v)
}

func testKill(t *testing.T, s *suite) {
	v := s.create(t, "killed")
	s.Kill(t, v)
	ended(t, v, vm.ExitKilled)
	refusesAll(t, s, v)
	release(t, v)
}

func testCrash(t *testing.T, s *suite) {
	v := s.create(t, "crashed")
	s.Crash(t, v)
	ended(t, v, vm.ExitCrash)
	release(t, v)
}
