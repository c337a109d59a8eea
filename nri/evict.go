package nri

import (
	"context"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"k8s.io/klog/v2"
)

// NRI lets a plugin ask for the end of containers in three messages, and its
// library for runtimes hands on none of them. They are seen on the wire here.

// pluginService is the prefix of the requests to plugins.
const pluginService = "/nri.pkg.api.v1alpha1.Plugin/"

// seeAnswer looks for evictions in a plugin's answers.
func (a *Adapter) seeAnswer(ctx context.Context, request *ttrpc.Request, response *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
	if err := invoke(ctx, request, response); err != nil {
		return err
	}
	var answer interface {
		proto.Message
		GetEvict() []*api.ContainerEviction
	}
	switch info.FullMethod {
	case pluginService + "CreateContainer":
		answer = new(api.CreateContainerResponse)
	case pluginService + "UpdateContainer":
		answer = new(api.UpdateContainerResponse)
	default:
		return nil
	}
	if err := proto.Unmarshal(response.Payload, answer); err != nil {
		return err
	}
	a.evict(answer.GetEvict())
	return nil
}

// seeRequest looks for evictions in what a plugin asks for of its own accord.
func (a *Adapter) seeRequest(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
	return method(ctx, func(into any) error {
		if err := unmarshal(into); err != nil {
			return err
		}
		if update, ok := into.(*api.UpdateContainersRequest); ok {
			a.evict(update.Evict)
		}
		return nil
	})
}

// evict kills containers, in the background: the hook that a plugin answers may hold what that waits for.
func (a *Adapter) evict(all []*api.ContainerEviction) {
	for _, e := range all {
		a.background.Go(func() {
			logger := klog.Background().WithValues("container", e.GetContainerId(), "reason", e.GetReason())
			logger.Info("An NRI plugin evicts a container")
			if err := a.runtime.StopContainer(a.life, e.GetContainerId(), 0); err != nil {
				logger.Error(err, "Cannot evict a container")
			}
		})
	}
}
