package cri

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxTimeout bounds timeouts in seconds, so that they fit a time.Duration.
const maxTimeout = 1 << 32

func checkTimeout(seconds int64) error {
	if seconds < 0 || seconds > maxTimeout {
		return invalid("timeout", "%d seconds is not between 0 and %d", seconds, int64(maxTimeout))
	}
	return nil
}

// checkStreams refuses a choice of streams that cannot be served.
func checkStreams(tty, stdin, stdout, stderr bool) error {
	if !stdin && !stdout && !stderr {
		return invalid("stdin, stdout or stderr", "must be true")
	}
	if tty && stderr {
		return invalid("stderr", "must be false with tty: a terminal has one output")
	}
	return nil
}

func checkExec(r *runtimeapi.ExecRequest) error {
	if err := checkID("container_id", r.GetContainerId()); err != nil {
		return err
	}
	if err := checkExecCommand(r.GetCmd()); err != nil {
		return err
	}
	return checkStreams(r.GetTty(), r.GetStdin(), r.GetStdout(), r.GetStderr())
}

func checkExecCommand(cmd []string) error {
	if len(cmd) == 0 || cmd[0] == "" {
		return invalid("cmd", "is required")
	}
	return checkCommand("cmd", cmd)
}

func checkAttach(r *runtimeapi.AttachRequest) error {
	if err := checkID("container_id", r.GetContainerId()); err != nil {
		return err
	}
	return checkStreams(r.GetTty(), r.GetStdin(), r.GetStdout(), r.GetStderr())
}

func checkPortForward(r *runtimeapi.PortForwardRequest) error {
	if err := checkID("pod_sandbox_id", r.GetPodSandboxId()); err != nil {
		return err
	}
	for _, p := range r.GetPort() {
		if p < 1 || p > 65535 {
			return invalid("port", "%d is not a port", p)
		}
	}
	return nil
}
