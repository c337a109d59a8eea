package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox/cdi"
	"github.com/paddock-run/paddock/podsandbox/logfile"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// CreateContainer makes a container. On error nothing of it is left.
func (m *Manager) CreateContainer(ctx context.Context, sandboxID string, cfg ContainerConfig) (id string, err error) {
	s, err := m.sandbox(sandboxID)
	if err != nil {
		return "", err
	}
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	defer m.pool.makes()()
	if err := checkContainer(&cfg, s.os()); err != nil {
		return "", err
	}
	id = newID()
	if err := reserve(&s.mu, s.names, cfg.Meta, id); err != nil {
		return "", err
	}
	s.claim(id, cfg.Resources)
	defer s.unclaim(id)
	c := newContainer(id, s)
	c.op <- struct{}{} // hooks hear of its making before all else
	defer c.op.unlock()
	k := &containerMake{m: m, s: s, c: c, cfg: cfg}
	if err := k.run(ctx); err != nil {
		k.undo.run(klog.FromContext(ctx).WithValues("sandbox", s.id, "container", id))
		unreserve(&s.mu, s.names, cfg.Meta)
		if cause := context.Cause(ctx); errors.Is(cause, ErrState) {
			err = cause
		}
		return "", fmt.Errorf("create container %s: %w", cfg.Meta.Name, err)
	}
	m.publishContainer(c)
	m.hooks.ContainerCreated(ctx, c.status.Load())
	m.followMounts(s)
	m.emit(EventCreated, s, id, false)
	if !s.vmRuns() { // it ended just now, and its watcher may not have seen this container
		m.exited(c, vmEnding(s.vm.ExitReason()))
	}
	return id, nil
}

func (m *Manager) publishContainer(c *container) {
	m.mu.Lock()
	m.containers[c.id] = c
	m.mu.Unlock()
	c.sandbox.mu.Lock()
	c.sandbox.containers[c.id] = c
	c.sandbox.mu.Unlock()
}

func checkContainer(cfg *ContainerConfig, os guest.OS) error {
	switch {
	case cfg.Meta.Name == "":
		return fmt.Errorf("%w: a container needs a name", ErrInvalid)
	case cfg.Image == "":
		return fmt.Errorf("%w: a container needs an image", ErrInvalid)
	}
	_, err := parseStop(cfg.StopSignal, os)
	return err
}

// containerMake is one CreateContainer under way.
type containerMake struct {
	m    *Manager
	s    *sandbox
	c    *container
	cfg  ContainerConfig
	undo undo

	options podOptions
	where   classifier
	image   imageservice.Image
	volumes map[string]imageservice.Image // of image volumes, by container path
	devices *cdi.Edits
	layers  []*guestapi.Layer
	bottom  string // the lowest layer's place on the host
	mounts  []*guestapi.Mount
	windows *guestapi.WindowsContainer // nil for a Linux container
}

func (k *containerMake) run(ctx context.Context) (err error) {
	if k.image, err = k.localImage(ctx, k.cfg.Image); err != nil {
		return err
	}
	if err := k.findVolumes(ctx); err != nil {
		return err
	}
	if err := k.findDevices(); err != nil {
		return err
	}
	if err := k.planWindows(); err != nil {
		return err
	}
	if err := k.checkBuild(ctx); err != nil {
		return err
	}
	st, err := k.describe()
	if err != nil {
		return err
	}
	if err := k.consult(ctx, &st); err != nil {
		return err
	}
	spec, err := encodeSpec(&st)
	if err != nil {
		return err
	}
	if err := k.intent(st); err != nil {
		return err
	}
	if err := k.attachLayers(ctx); err != nil {
		return err
	}
	if err := k.attachWine(ctx); err != nil {
		return err
	}
	if err := k.attachMounts(ctx); err != nil {
		return err
	}
	if err := k.m.resize(ctx, k.s); err != nil {
		return err
	}
	if err := k.persistUses(); err != nil {
		return err
	}
	if err := k.openLog(); err != nil {
		return err
	}
	user, err := k.createInGuest(ctx, spec)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err = k.m.updateContainer(k.c, func(r *containerRecord) bool {
		r.Phase = phaseLive
		r.Status.State = ContainerCreated
		r.Status.User = user
		return true
	})
	return err
}

func (k *containerMake) spec() (*specs.Spec, error) {
	in, err := k.m.specInput(k.s, k.c.id, &k.cfg, k.image)
	if err != nil {
		return nil, err
	}
	if k.windows != nil {
		k.adaptSpec(&in)
	}
	k.addDevices(&in)
	spec, err := ocispec.Generate(in)
	if errors.Is(err, ocispec.ErrInvalid) {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return spec, err
}

// describe is the status of the container to make.
func (k *containerMake) describe() (ContainerStatus, error) {
	spec, err := k.spec()
	if err != nil {
		return ContainerStatus{}, err
	}
	stop := k.cfg.StopSignal
	if stop == "" {
		stop = k.image.Config.StopSignal
	}
	if stop == "" {
		stop = "SIGTERM"
	}
	logPath := ""
	if dir := k.s.status.Load().Config.LogDirectory; dir != "" && k.cfg.LogPath != "" {
		logPath = filepath.Join(dir, k.cfg.LogPath)
	}
	return ContainerStatus{
		ID: k.c.id, SandboxID: k.s.id, Created: time.Now(), Config: k.cfg, Spec: spec,
		ImageID: k.image.ID, ImageRef: imageRef(&k.image), LogPath: logPath, StopSignal: stop, MountImages: k.volumeRefs(),
	}, nil
}

// intent stores that the container is being made.
func (k *containerMake) intent(st ContainerStatus) error {
	m, c := k.m, k.c
	k.undo.pushIntent("intent", func() error { return m.ctrRec.Delete(c.id) })
	_, err := m.updateContainer(c, func(r *containerRecord) bool {
		*r = containerRecord{Phase: phaseMaking, Status: st}
		return true
	})
	return err
}

// persistUses stores what the container uses of its VM, so that a restart can let go of it.
func (k *containerMake) persistUses() error {
	c := k.c
	_, err := k.m.updateContainer(c, func(*containerRecord) bool { return true })
	return err
}

func (k *containerMake) openLog() error {
	k.undo.push("log", func(context.Context) error { return k.m.dropLog(k.c) })
	l, err := logfile.Create(k.c.status.Load().LogPath, k.m.logRecordPath(k.c.id))
	if err != nil {
		return err
	}
	k.c.out = newOutputPump(k.c, l)
	return nil
}

func (k *containerMake) createInGuest(ctx context.Context, spec []byte) (*User, error) {
	c, s := k.c, k.s
	sc := &k.cfg.Security
	pid, err := pidMode(sc.Namespaces.PID)
	if err != nil {
		return nil, err
	}
	request := &guestapi.CreateContainerRequest{
		Id: c.id, Spec: spec, Layers: k.layers, Mounts: k.mounts, ReadOnlyRootfs: sc.ReadOnlyRootfs,
		User: guestUser(sc, k.image.Config.User), Terminal: k.cfg.TTY, Stdin: k.cfg.Stdin,
		PidMode: pid, PidTarget: sc.Namespaces.TargetID, Windows: k.windows,
	}
	request.User.SupplementalGroups = append(request.User.SupplementalGroups, k.devices.Groups...)
	// An answer that never came may still have made it.
	k.undo.push("container in the guest", func(ctx context.Context) error { return s.deleteInGuest(ctx, c.id) })
	var user *User
	err = s.agent.once(ctx, func(conn *agentConn) error {
		answer, err := conn.CreateContainer(ctx, request)
		if err != nil {
			return fromAgent(err)
		}
		if u := answer.User; u != nil && k.windows == nil {
			user = &User{UID: int64(u.Uid), GID: int64(u.Gid)}
			for _, g := range u.Groups {
				user.Groups = append(user.Groups, int64(g))
			}
		}
		return nil
	})
	return user, err
}

// deleteInGuest deletes a container in the guest, if that still runs.
func (s *sandbox) deleteInGuest(ctx context.Context, id string) error {
	if !s.vmRuns() {
		return nil
	}
	err := s.agent.retry(ctx, func(conn *agentConn) error {
		_, err := conn.DeleteContainer(ctx, &guestapi.DeleteContainerRequest{Id: id})
		return fromAgent(err)
	})
	if err != nil && (!s.vmRuns() || errors.Is(err, ErrNotFound)) {
		return nil
	}
	return err
}

func pidMode(mode NamespaceMode) (guestapi.PIDMode, error) {
	switch mode {
	case NamespacePod:
		return guestapi.PIDMode_PID_MODE_POD, nil
	case NamespaceContainer:
		return guestapi.PIDMode_PID_MODE_CONTAINER, nil
	case NamespaceNode:
		return guestapi.PIDMode_PID_MODE_NODE, nil
	case NamespaceTarget:
		return guestapi.PIDMode_PID_MODE_TARGET, nil
	}
	return 0, fmt.Errorf("%w: PID namespace mode %d", ErrInvalid, mode)
}

func guestUser(sc *Security, imageUser string) *guestapi.User {
	u := &guestapi.User{User: imageUser, Uid: sc.RunAsUser, Gid: sc.RunAsGroup, StrictGroups: sc.StrictGroups}
	if sc.RunAsUsername != "" {
		u.User = sc.RunAsUsername
	}
	for _, g := range sc.SupplementalGroups {
		u.SupplementalGroups = append(u.SupplementalGroups, uint32(g))
	}
	return u
}
