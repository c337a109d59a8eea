package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// Subject is a runtime under measurement.
type Subject struct {
	Name   string
	Client *criclient.Client
	// Handler of its pods; "" for its default.
	Handler string
	// LogDir is where its containers' logs go.
	LogDir string
	// Daemon is the PID of its daemon.
	Daemon int
	// Samples by row name; durations in ms.
	Samples map[string][]float64
	// Counts are how many things samples were taken of, where that is for the caller to say.
	Counts map[string]int
	// Shares are rows of its own: what is left in a pod of what the machine can do.
	Shares []Result
	// Steps are the daemon's own account of one pod's start, if it gives one.
	Steps []Step

	pods int
}

// Add records a sample.
func (s *Subject) Add(row string, value float64) {
	if s.Samples == nil {
		s.Samples = map[string][]float64{}
	}
	s.Samples[row] = append(s.Samples[row], value)
}

// count notes how many things the samples of rows are of.
func (s *Subject) count(n int, rows ...string) {
	if s.Counts == nil {
		s.Counts = map[string]int{}
	}
	for _, row := range rows {
		s.Counts[row] = n
	}
}

func (s *Subject) timed(row string, call func() error) (time.Duration, error) {
	begin := time.Now()
	err := call()
	took := time.Since(begin)
	if err != nil {
		return took, fmt.Errorf("%s: %s: %w", s.Name, row, err)
	}
	s.Add(row, ms(took))
	return took, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// execs is how many commands are run in each pod.
const execs = 5

// Pod runs one pod from creation to removal and records what each step took.
func (s *Subject) Pod(ctx context.Context, image string) (err error) {
	s.pods++
	pod := criclient.PodConfig(fmt.Sprintf("bench-%d", s.pods), s.LogDir)
	container := criclient.ContainerConfig(fmt.Sprintf("c%d", s.pods), image, "/bin/sh", "-c", "echo started; exec sleep 1000")
	logFile := filepath.Join(s.LogDir, container.LogPath)
	begin := time.Now()
	var podID, id string
	if _, err := s.timed("CreatePod", func() error {
		r, err := s.Client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: pod, RuntimeHandler: s.Handler})
		podID = r.GetPodSandboxId()
		return err
	}); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = s.Client.RemovePod(context.WithoutCancel(ctx), podID)
		}
	}()
	created, err := s.timed("CreateContainer", func() error {
		r, err := s.Client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: podID, Config: container, SandboxConfig: pod})
		id = r.GetContainerId()
		return err
	})
	if err != nil {
		return err
	}
	started, err := s.timed("StartContainer", func() error {
		_, err := s.Client.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: id})
		return err
	})
	if err != nil {
		return err
	}
	s.Add("CreateContainer+StartContainer", ms(created+started))
	if err := awaitLine(ctx, logFile); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Add("apply to first log line", ms(time.Since(begin)))
	for range execs {
		if _, err := s.timed("ExecSync", func() error {
			_, err := s.Client.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: id, Cmd: []string{"/bin/true"}})
			return err
		}); err != nil {
			return err
		}
	}
	pss, err := podPSS(podID)
	if err != nil {
		return err
	}
	s.Add("idle pod PSS", float64(pss)/(1<<20))
	if s.Steps == nil {
		s.Steps = startSteps(ctx, s.Client, podID)
	}
	return s.remove(ctx, podID, id)
}

func (s *Subject) remove(ctx context.Context, podID, id string) error {
	if _, err := s.timed("StopContainer", func() error {
		_, err := s.Client.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: id})
		return err
	}); err != nil {
		return err
	}
	if _, err := s.timed("StopPod", func() error {
		_, err := s.Client.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: podID})
		return err
	}); err != nil {
		return err
	}
	_, err := s.timed("RemovePod", func() error {
		_, err := s.Client.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: podID})
		return err
	})
	return err
}

// awaitLine waits for the first line of a log.
func awaitLine(ctx context.Context, file string) error {
	for {
		if st, err := os.Stat(file); err == nil && st.Size() > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no line in %s: %w", file, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// Pull pulls an image that unpacks to bytes and records the rate.
func (s *Subject) Pull(ctx context.Context, ref string, bytes int) error {
	begin := time.Now()
	if _, err := s.Client.Pull(ctx, ref); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Add("unpack", float64(bytes)/1e6/time.Since(begin).Seconds())
	_, err := s.Client.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	return err
}
