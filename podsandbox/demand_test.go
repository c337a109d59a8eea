package podsandbox

import (
	"testing"
	"time"
)

func TestDemand(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(seconds ...float64) []time.Time {
		var times []time.Time
		for _, s := range seconds {
			times = append(times, start.Add(time.Duration(s*float64(time.Second))))
		}
		return times
	}
	for name, c := range map[string]struct {
		asked       []time.Time
		now         float64
		least, most int
		want        int
	}{
		"nothing asked":           {nil, 0, 2, 8, 2},
		"none wanted":             {nil, 0, 0, 8, 0},
		"a burst":                 {at(0, 1, 2, 3, 4), 5, 1, 8, 5},
		"a burst above the most":  {at(0, 1, 2, 3, 4), 5, 1, 3, 3},
		"steady, one at a time":   {at(0, 20, 40, 60), 61, 0, 8, 1},
		"the largest burst":       {at(0, 1, 2, 60, 61), 62, 0, 8, 3},
		"a window that slides":    {at(0, 6, 12, 18), 19, 0, 8, 2},
		"a burst fades":           {at(0, 1, 2, 3), 302, 0, 8, 2},
		"and is forgotten":        {at(0, 1, 2, 3), 400, 1, 8, 1},
		"the least above a burst": {at(0, 1), 2, 4, 8, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var d demand
			for _, a := range c.asked {
				d.note(a)
			}
			if got := d.target(start.Add(time.Duration(c.now*float64(time.Second))), c.least, c.most); got != c.want {
				t.Errorf("target %d, want %d", got, c.want)
			}
		})
	}
	var d demand
	for i := range 3 * demandMost {
		d.note(start.Add(time.Duration(i) * time.Microsecond))
	}
	if len(d.asked) > demandMost {
		t.Errorf("remembers %d requests", len(d.asked))
	}
}
