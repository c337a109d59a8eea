package conformance

import (
	"slices"
	"testing"
	"time"
)

func TestParseBenchmark(t *testing.T) {
	samples := map[string][]time.Duration{"CreatePod": {time.Second}}
	err := parseBenchmark([]byte(`{"operationsNames":["CreatePod","StopPod"],"numParallel":1,"datapoints":[
{"sampleIndex":0,"operationsDurationsNs":[3,4],"metaInfo":null},{"sampleIndex":1,"operationsDurationsNs":[5,6]}]}`), samples)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := samples["CreatePod"], []time.Duration{time.Second, 3, 5}; !slices.Equal(got, want) {
		t.Errorf("CreatePod %v, want %v", got, want)
	}
	if got, want := samples["StopPod"], []time.Duration{4, 6}; !slices.Equal(got, want) {
		t.Errorf("StopPod %v, want %v", got, want)
	}
	for _, bad := range []string{
		"", `{}`, `{"operationsNames":["CreatePod"],"datapoints":[]}`,
		`{"operationsNames":["CreatePod"],"datapoints":[{"operationsDurationsNs":[1,2]}]}`,
	} {
		if err := parseBenchmark([]byte(bad), samples); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
