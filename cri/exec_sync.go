package cri

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// maxExecOutput is what stdout and stderr may have together, so that the
// answer fits a message.
const maxExecOutput = maxMessageSize - 4096

// ExecSync runs a command to its end and answers its output. kubelet's probes
// take DeadlineExceeded as their timeout.
func (s *Server) ExecSync(ctx context.Context, r *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	if err := checkTimeout(r.GetTimeout()); err != nil {
		return nil, err
	}
	if err := checkExecCommand(r.GetCmd()); err != nil {
		return nil, err
	}
	c, err := s.runningContainer(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(r.GetTimeout()) * time.Second
	stdout, stderr, code, err := s.runtime.ExecSync(ctx, c.ID, r.GetCmd(), timeout)
	if errors.Is(err, podsandbox.ErrTimeout) {
		return nil, errorf(codes.DeadlineExceeded, "failed to exec in container %s: timeout %v exceeded: %v", c.ID, timeout, context.DeadlineExceeded)
	}
	if err != nil {
		return nil, err
	}
	stdout, stderr = capOutput(stdout, stderr)
	return &runtimeapi.ExecSyncResponse{Stdout: stdout, Stderr: stderr, ExitCode: code}, nil
}

// capOutput cuts the ends off so that both fit one answer: stderr to what
// stdout leaves, but never below half.
func capOutput(stdout, stderr []byte) ([]byte, []byte) {
	if len(stdout)+len(stderr) <= maxExecOutput {
		return stdout, stderr
	}
	rest := max(maxExecOutput-len(stdout), maxExecOutput/2)
	stderr = stderr[:min(len(stderr), rest)]
	stdout = stdout[:min(len(stdout), maxExecOutput-len(stderr))]
	return stdout, stderr
}

// runningContainer finds a container that a process can be started in.
func (s *Server) runningContainer(id string) (podsandbox.ContainerStatus, error) {
	c, err := s.container(id)
	if err != nil {
		return c, err
	}
	if c.State != podsandbox.ContainerRunning {
		return c, errorf(codes.FailedPrecondition, "container %s is not running but %s", c.ID, containerState(c.State))
	}
	return c, nil
}
