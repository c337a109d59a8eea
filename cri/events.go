package cri

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// GetContainerEvents sends every change of a container or sandbox from now on.
func (s *Server) GetContainerEvents(_ *runtimeapi.GetEventsRequest, stream runtimeapi.RuntimeService_GetContainerEventsServer) error {
	ctx := stream.Context()
	events := s.runtime.Subscribe(ctx)
	// The header tells the client that it is subscribed.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for {
		select {
		case <-s.stopping:
			return errorf(codes.Unavailable, "the runtime is stopping")
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events:
			if !ok {
				return ctx.Err()
			}
			if err := stream.Send(s.event(&e)); err != nil {
				return err
			}
		}
	}
}

func (s *Server) event(e *podsandbox.Event) *runtimeapi.ContainerEventResponse {
	resp := &runtimeapi.ContainerEventResponse{
		ContainerId:        e.ContainerID,
		ContainerEventType: eventType(e.Kind),
		CreatedAt:          e.Time.UnixNano(),
	}
	if e.Sandbox != nil {
		resp.PodSandboxStatus = sandboxStatus(e.Sandbox)
	}
	for i := range e.Containers {
		resp.ContainersStatuses = append(resp.ContainersStatuses, s.containerStatus(&e.Containers[i]))
	}
	return resp
}

func eventType(k podsandbox.EventKind) runtimeapi.ContainerEventType {
	switch k {
	case podsandbox.EventStarted:
		return runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT
	case podsandbox.EventStopped:
		return runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT
	case podsandbox.EventDeleted:
		return runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT
	}
	return runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT
}
