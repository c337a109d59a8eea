package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Attach answers the URL where the streams of a container's main process are served, once.
func (s *Server) Attach(_ context.Context, r *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	if err := checkAttach(r); err != nil {
		return nil, err
	}
	c, err := s.runningContainer(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if r.GetTty() != c.Config.TTY {
		return nil, invalid("tty", "is %t, but the container was created with tty %t", r.GetTty(), c.Config.TTY)
	}
	if r.GetStdin() && !c.Config.Stdin {
		return nil, invalid("stdin", "is asked for, but the container was created without stdin")
	}
	r.ContainerId = c.ID
	return s.streaming.attach(r)
}
