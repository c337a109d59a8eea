package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Benchmark is what critest measures.
type Benchmark struct {
	// Pods and Containers are run one after the other, each container in a pod of its own.
	Pods, Containers int
}

// otherBenchmarks are those that have no number of samples, or are about images.
const otherBenchmarks = "operations on Image|listing Image|start a container from scratch"

// Benchmark lets critest measure the runtime and returns how long each call
// took, by critest's names for them.
func (s Suite) Benchmark(ctx context.Context, log *os.File, b Benchmark) (map[string][]time.Duration, error) {
	out, err := os.MkdirTemp(s.TempDir, "benchmark-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	params := filepath.Join(out, "params.yaml")
	text := fmt.Sprintf("podsNumber: %d\npodsNumberParallel: 1\ncontainersNumber: %d\ncontainersNumberParallel: 1\nimagesNumberParallel: 1\n", b.Pods, b.Containers)
	if err := os.WriteFile(params, []byte(text), 0o644); err != nil {
		return nil, err
	}
	report, err := s.critest(ctx, log, "-benchmark", "-ginkgo.skip="+otherBenchmarks,
		"-benchmarking-params-file="+params, "-benchmarking-output-dir="+out)
	if err != nil {
		return nil, err
	}
	if len(report.Failed) > 0 {
		return nil, fmt.Errorf("critest -benchmark (its output: %s): failed: %s", log.Name(), strings.Join(report.Failed, "; "))
	}
	samples := map[string][]time.Duration{}
	for _, name := range []string{"pod_benchmark_data.json", "container_benchmark_data.json"} {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			return nil, fmt.Errorf("critest -benchmark (its output: %s) left no result: %w", log.Name(), err)
		}
		if err := parseBenchmark(data, samples); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return samples, nil
}

// parseBenchmark adds the samples of one of critest's result files.
func parseBenchmark(data []byte, samples map[string][]time.Duration) error {
	var doc struct {
		OperationsNames []string
		Datapoints      []struct{ OperationsDurationsNs []int64 }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	if len(doc.OperationsNames) == 0 || len(doc.Datapoints) == 0 {
		return fmt.Errorf("no samples of %d operations", len(doc.OperationsNames))
	}
	for _, p := range doc.Datapoints {
		if len(p.OperationsDurationsNs) != len(doc.OperationsNames) {
			return fmt.Errorf("%d durations of %d operations", len(p.OperationsDurationsNs), len(doc.OperationsNames))
		}
		for i, name := range doc.OperationsNames {
			samples[name] = append(samples[name], time.Duration(p.OperationsDurationsNs[i]))
		}
	}
	return nil
}
