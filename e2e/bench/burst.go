package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// removeAtOnce is how many pods are removed in parallel after a burst.
const removeAtOnce = 4

// Burst runs n pods at once, then measures what an idle one of so many costs.
func (s *Subject) Burst(ctx context.Context, n int) (err error) {
	var mu sync.Mutex
	var ids []string
	defer func() {
		var all errgroup.Group
		all.SetLimit(removeAtOnce)
		for _, id := range ids {
			all.Go(func() error { return s.Client.RemovePod(context.WithoutCancel(ctx), id) })
		}
		if removeErr := all.Wait(); err == nil {
			err = removeErr
		}
	}()
	s.count(n, burstRow, burstRate, densePSS, daemonPSS)
	before := pss(strconv.Itoa(s.Daemon))
	begin := time.Now()
	var all errgroup.Group
	for i := range n {
		all.Go(func() error {
			pod := criclient.PodConfig(fmt.Sprintf("burst-%d", i), s.LogDir)
			r, err := s.Client.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: pod, RuntimeHandler: s.Handler})
			if err != nil {
				return fmt.Errorf("%s: pod %d of %d at once: %w", s.Name, i, n, err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, r.PodSandboxId)
			s.Add(burstRow, ms(time.Since(begin)))
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	s.Add(burstRate, float64(n)/time.Since(begin).Seconds())
	if err := Settle(ctx); err != nil {
		return err
	}
	s.Add(daemonPSS, (float64(pss(strconv.Itoa(s.Daemon)))-float64(before))/float64(n)/(1<<20))
	for _, id := range ids {
		pss, err := podPSS(id)
		if err != nil {
			return err
		}
		s.Add(densePSS, float64(pss)/(1<<20))
	}
	return nil
}
