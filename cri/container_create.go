package cri

import (
	"context"
	"errors"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	crierrors "k8s.io/cri-api/pkg/errors"

	"github.com/paddock-run/paddock/guest/idmap"
	"github.com/paddock-run/paddock/podsandbox"
)

// CreateContainer makes a container in a pod. The pod's handler says of which OS it is.
func (s *Server) CreateContainer(ctx context.Context, r *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	if err := checkID("pod_sandbox_id", r.GetPodSandboxId()); err != nil {
		return nil, err
	}
	if err := s.cfg.checkContainerConfig(r.GetConfig()); err != nil {
		return nil, err
	}
	sb, err := s.runtime.Sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	os, _ := sb.Config.Handler.OS()
	if err := s.cfg.checkContainerPaths(r.GetConfig(), os); err != nil {
		return nil, err
	}
	asked, err := s.withCarried(ctx, r.GetConfig(), &sb)
	if err != nil {
		return nil, err
	}
	if err := checkAgainstSandbox(asked, &sb); err != nil {
		return nil, err
	}
	cfg := s.containerConfig(asked, os)
	if err := s.resolveTarget(&cfg, sb.ID); err != nil {
		return nil, err
	}
	id, err := s.runtime.CreateContainer(ctx, sb.ID, cfg)
	if err != nil {
		return nil, createError(err)
	}
	return &runtimeapi.CreateContainerResponse{ContainerId: id}, nil
}

// createError names errors of image volumes as kubelet knows them: by the start of the message.
func createError(err error) error {
	if errors.Is(err, podsandbox.ErrImageVolume) {
		return errorf(codeOf(err), "%v: %v", crierrors.ErrImageVolumeMountFailed, err)
	}
	return err
}

// checkAgainstSandbox refuses what the sandbox was not made for.
func checkAgainstSandbox(cfg *runtimeapi.ContainerConfig, sb *podsandbox.SandboxStatus) error {
	if cfg.GetLinux().GetSecurityContext().GetPrivileged() && !sb.Config.Privileged {
		return invalid("config.linux.security_context.privileged", "needs a sandbox that was made for privileged containers")
	}
	asked := cfg.GetLinux().GetSecurityContext().GetNamespaceOptions().GetUsernsOptions().GetUids()
	if !idmap.Equal(optionalRange(asked), sb.Config.UserNamespace) {
		return invalid("config.linux.security_context.namespace_options.userns_options", "must be those of the sandbox")
	}
	if cfg.GetLogPath() != "" && sb.Config.LogDirectory == "" {
		return invalid("config.log_path", "needs a sandbox with a log directory")
	}
	return nil
}

// resolveTarget completes the id of the container whose PID namespace is
// joined. It must be in the same pod.
func (s *Server) resolveTarget(cfg *podsandbox.ContainerConfig, sandboxID string) error {
	ns := &cfg.Security.Namespaces
	if ns.PID != podsandbox.NamespaceTarget {
		return nil
	}
	target, err := s.runtime.Container(ns.TargetID)
	if err != nil {
		return invalid("config.linux.security_context.namespace_options.target_id", "%q: %v", ns.TargetID, err)
	}
	if target.SandboxID != sandboxID {
		return invalid("config.linux.security_context.namespace_options.target_id", "%q is a container of another pod", ns.TargetID)
	}
	ns.TargetID = target.ID
	return nil
}
