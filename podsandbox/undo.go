package podsandbox

import (
	"context"
	"time"

	"k8s.io/klog/v2"
)

// undoTime bounds the undoing of one failed operation.
const undoTime = time.Minute

// undo is what takes back the steps of an operation that failed.
type undo struct{ steps []undoStep }

type undoStep struct {
	name string
	f    func(context.Context) error
	// last is only taken back when all else was, so that a restart can try again.
	last bool
}

func (u *undo) push(name string, f func(context.Context) error) {
	u.steps = append(u.steps, undoStep{name: name, f: f})
}

func (u *undo) pushIntent(name string, f func() error) {
	u.steps = append(u.steps, undoStep{name: name, f: func(context.Context) error { return f() }, last: true})
}

// run takes the steps back, the latest first, under a context of its own.
func (u *undo) run(logger klog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	failed := false
	for i := len(u.steps) - 1; i >= 0; i-- {
		step := u.steps[i]
		if step.last && failed {
			logger.Info("Intent kept: the next start cleans up what is left", "step", step.name)
			continue
		}
		if err := step.f(ctx); err != nil {
			failed = true
			logger.Error(err, "Cannot take a step back", "step", step.name)
		}
	}
	u.steps = nil
}
