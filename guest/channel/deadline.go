package channel

import (
	"sync"
	"time"
)

// deadline wakes those who wait on cond when its time has come. Its methods
// are called with cond.L held.
type deadline struct {
	cond    *sync.Cond
	timer   *time.Timer
	setting int // counts settings, so that an overtaken timer does nothing
	expired bool
}

func (d *deadline) setLocked(t time.Time) {
	d.stopLocked()
	d.expired = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.expired = true
		d.cond.Broadcast()
		return
	}
	mine := d.setting
	d.timer = time.AfterFunc(wait, func() {
		d.cond.L.Lock()
		defer d.cond.L.Unlock()
		if d.setting == mine {
			d.expired = true
			d.cond.Broadcast()
		}
	})
}

func (d *deadline) stopLocked() {
	d.setting++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
