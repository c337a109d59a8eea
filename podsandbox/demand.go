package podsandbox

import "time"

const (
	// demandMemory is how long a burst of pods keeps the pool large.
	demandMemory = 5 * time.Minute
	// demandWindow is the time in which pods count as one burst.
	demandWindow = 10 * time.Second
	// demandMost bounds what is remembered.
	demandMost = 4096
)

// demand remembers when sandboxes were asked for, and tells how many are worth
// having ready. The zero value remembers nothing.
type demand struct{ asked []time.Time } // oldest first

// note remembers one request.
func (d *demand) note(now time.Time) {
	d.forget(now)
	if len(d.asked) == demandMost {
		d.asked = d.asked[1:]
	}
	d.asked = append(d.asked, now)
}

func (d *demand) forget(now time.Time) {
	for len(d.asked) > 0 && now.Sub(d.asked[0]) > demandMemory {
		d.asked = d.asked[1:]
	}
}

// recent is how many were asked for within the last demandWindow.
func (d *demand) recent(now time.Time) (n int) {
	for n < len(d.asked) && now.Sub(d.asked[len(d.asked)-1-n]) <= demandWindow {
		n++
	}
	return n
}

// target is the largest recent burst, within bounds.
func (d *demand) target(now time.Time, least, most int) int {
	d.forget(now)
	peak, from := 0, 0
	for to, t := range d.asked {
		for t.Sub(d.asked[from]) > demandWindow {
			from++
		}
		peak = max(peak, to-from+1)
	}
	return min(max(peak, least), most)
}
