package bench

import "testing"

func TestPercentile(t *testing.T) {
	s := []float64{5, 1, 4, 2, 3}
	for p, want := range map[int]float64{1: 1, 50: 3, 95: 5, 100: 5} {
		if got := percentile(s, p); got != want {
			t.Errorf("p%d = %v, want %v", p, got, want)
		}
	}
}

func TestRatioIsLowerWhenBetter(t *testing.T) {
	a := &Subject{Samples: map[string][]float64{"ExecSync": {10}, "unpack": {200}}}
	b := &Subject{Name: "b", Samples: map[string][]float64{"ExecSync": {20}, "unpack": {100}}}
	for _, r := range Compare(a, b) {
		if r.Ratio != 0.5 || r.PeerName != "b" {
			t.Errorf("%+v", r)
		}
	}
}
