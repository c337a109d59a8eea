package computecore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Grace is how long the caller of an operation that was cancelled still waits for its end.
const Grace = 30 * time.Second

// waitSlice is how often a waiting operation looks whether it is still wanted.
const waitSlice = 250 * time.Millisecond

// errNoOperation: HcsCreateOperation fails for want of memory only.
var errNoOperation = &Error{Call: "HcsCreateOperation", Result: OutOfMemory}

// outcome is the end of an operation.
type outcome struct {
	document string
	err      error
}

// Who has the outcome of an operation.
const (
	undecided int32 = iota
	delivered       // its caller
	orphaned        // nobody waits any more
)

// run begins an operation and waits for its end, as doc.go draws it. after is
// called once, when it has ended or could not begin: before run returns, or,
// late, with what an orphaned operation came to.
func run(ctx context.Context, call string, begin func(operation uintptr) HRESULT, after func(o outcome, late bool)) (string, error) {
	if err := ctx.Err(); err != nil {
		o := outcome{err: fmt.Errorf("%s: %w", call, err)}
		after(o, false)
		return "", o.err
	}
	var fate atomic.Int32
	done := make(chan outcome, 1)
	go func() {
		o := perform(ctx, call, begin)
		if fate.CompareAndSwap(undecided, delivered) {
			done <- o
			return
		}
		after(o, true)
	}()
	o, ended := await(ctx, done)
	if !ended && fate.CompareAndSwap(undecided, orphaned) {
		return "", fmt.Errorf("%s does not end: %w", call, ctx.Err())
	}
	if !ended {
		o = <-done // it ended at the last moment
	}
	if o.err != nil && ctx.Err() != nil {
		o.err = errors.Join(fmt.Errorf("%s: %w", call, ctx.Err()), o.err)
	}
	after(o, false)
	return o.document, o.err
}

// await waits for an outcome until Grace after the end of ctx.
func await(ctx context.Context, done <-chan outcome) (outcome, bool) {
	select {
	case o := <-done:
		return o, true
	case <-ctx.Done():
	}
	patience := time.NewTimer(Grace)
	defer patience.Stop()
	select {
	case o := <-done:
		return o, true
	case <-patience.C:
		return outcome{}, false
	}
}

// perform is the operation itself; it returns when it has ended.
func perform(ctx context.Context, call string, begin func(operation uintptr) HRESULT) outcome {
	operation := hcsCreateOperation(0, 0)
	if operation == 0 {
		return outcome{err: errNoOperation}
	}
	defer hcsCloseOperation(operation)
	if hr := begin(operation); hr.Failed() && !hr.Same(OperationPending) {
		return outcome{err: newError(call, hr, immediateResult(operation))}
	}
	cancelled := false
	for {
		var result *uint16
		hr := hcsWaitForOperationResult(operation, uint32(waitSlice/time.Millisecond), &result)
		document := take(result)
		switch {
		case !hr.Failed():
			return outcome{document: document}
		case !hr.Same(OperationTimeout):
			return outcome{err: newError(call, hr, document)}
		case ctx.Err() != nil && !cancelled:
			cancelled = true
			hcsCancelOperation(operation) // whether it can be is told by the result
		}
	}
}

// immediateResult is what the service says of an operation that did not begin.
func immediateResult(operation uintptr) string {
	var result *uint16
	hcsWaitForOperationResult(operation, 0, &result)
	return take(result)
}
