package bench

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

const (
	listFew, listMany     = "list few", "list many"
	statusFew, statusMany = "status few", "status many"

	// fewContainers is what a crowd is compared with.
	fewContainers = 10
	// crowdPod is how many containers of a crowd are in one pod.
	crowdPod = 50
	// crowdCalls is how often each call is measured.
	crowdCalls = 50
)

// Crowd makes n containers, which are not started, and measures the calls that
// kubelet makes all the time, at few of them and at all.
func (s *Subject) Crowd(ctx context.Context, image string, n int) (err error) {
	s.count(n, listMany, statusMany)
	defer func() {
		if removeErr := s.Client.RemoveAll(context.WithoutCancel(ctx)); err == nil {
			err = removeErr
		}
	}()
	var first string
	for made := 0; made < n; {
		size := min(crowdPod, n-made)
		if made == 0 {
			size = fewContainers
		}
		id, err := s.crowd(ctx, image, made, size)
		if err != nil {
			return err
		}
		if made == 0 {
			first = id
			if err := s.listed(ctx, listFew, statusFew, size, first); err != nil {
				return err
			}
		}
		made += size
	}
	if err := Settle(ctx); err != nil {
		return err
	}
	return s.listed(ctx, listMany, statusMany, n, first)
}

// crowd makes a pod with some containers and returns the id of one of them.
func (s *Subject) crowd(ctx context.Context, image string, begin, n int) (id string, err error) {
	pod := criclient.PodConfig(fmt.Sprintf("crowd-%d", begin), s.LogDir)
	r, err := s.Client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: pod, RuntimeHandler: s.Handler})
	if err != nil {
		return "", fmt.Errorf("%s: pod for containers %d and on: %w", s.Name, begin, err)
	}
	ids := make([]string, n)
	var all errgroup.Group
	all.SetLimit(2)
	for i := range n {
		all.Go(func() error {
			c, err := s.Client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
				PodSandboxId: r.PodSandboxId, SandboxConfig: pod,
				Config: criclient.ContainerConfig(fmt.Sprintf("c%d", begin+i), image, "/bin/sleep", "1000"),
			})
			if err != nil {
				return fmt.Errorf("%s: container %d: %w", s.Name, begin+i, err)
			}
			ids[i] = c.ContainerId
			return nil
		})
	}
	err = all.Wait()
	return ids[0], err
}

func (s *Subject) listed(ctx context.Context, list, status string, n int, id string) error {
	for range crowdCalls {
		if _, err := s.timed(list, func() error {
			r, err := s.Client.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
			if err == nil && len(r.Containers) != n {
				err = fmt.Errorf("%d containers are listed, want %d", len(r.Containers), n)
			}
			return err
		}); err != nil {
			return err
		}
		if _, err := s.timed(status, func() error {
			_, err := s.Client.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
