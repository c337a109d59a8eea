package cri

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox"
	"github.com/paddock-run/paddock/podsandbox/cdi"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// codeError is an error of this package with its gRPC code. It wins over all
// that it wraps.
type codeError struct {
	code codes.Code
	msg  string
}

func (e *codeError) Error() string { return e.msg }

// errorf makes an error with a code.
func errorf(code codes.Code, format string, args ...any) error {
	return &codeError{code: code, msg: fmt.Sprintf(format, args...)}
}

// invalid is the error of a request that is malformed in a field.
func invalid(field, format string, args ...any) error {
	return errorf(codes.InvalidArgument, "%s %s", field, fmt.Sprintf(format, args...))
}

// sentinels pairs the errors of the layers below with gRPC codes; the first
// match counts. kubelet takes NotFound for "the container is gone": only errors that mean it may map to it.
var sentinels = []struct {
	err  error
	code codes.Code
}{
	{podsandbox.ErrTimeout, codes.DeadlineExceeded},
	{podsandbox.ErrInvalid, codes.InvalidArgument},
	{podsandbox.ErrExists, codes.AlreadyExists},
	{podsandbox.ErrState, codes.FailedPrecondition},
	{podsandbox.ErrUnsupported, codes.Unimplemented},
	{cdi.ErrUnavailable, codes.FailedPrecondition},

	{imageservice.ErrInvalidReference, codes.InvalidArgument},
	{imageservice.ErrNoPlatform, codes.NotFound},
	{imageservice.ErrUnauthorized, codes.PermissionDenied},
	{imageservice.ErrCorrupt, codes.DataLoss},
	{imageservice.ErrNoSpace, codes.ResourceExhausted},
	{imageservice.ErrUnavailable, codes.Unavailable},
	{imageservice.ErrNotFound, codes.NotFound},

	{network.ErrNotReady, codes.Unavailable},

	{vm.ErrNoSlots, codes.ResourceExhausted},
	{vm.ErrUnsupported, codes.Unimplemented},
	{vm.ErrInvalid, codes.InvalidArgument},
	{vm.ErrExited, codes.FailedPrecondition},
	{vm.ErrNotFound, codes.Internal}, // the VM of a pod that is there
	{vm.ErrExists, codes.Internal},

	{podsandbox.ErrNotFound, codes.NotFound},
	{podsandbox.ErrUnavailable, codes.Unavailable},

	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{context.Canceled, codes.Canceled},
}

// toStatus turns any error into one that gRPC sends with the right code.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codeOf(err), err.Error())
}

func codeOf(err error) codes.Code {
	var own *codeError
	if errors.As(err, &own) {
		return own.code
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	return foreignCode(err)
}

// foreignCode maps a status that a layer below got from elsewhere: an agent,
// which is not trusted to say that a container does not exist.
func foreignCode(err error) codes.Code {
	st, ok := status.FromError(err)
	if !ok {
		return codes.Internal
	}
	switch st.Code() {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented, codes.Unavailable,
		codes.ResourceExhausted, codes.DeadlineExceeded, codes.Canceled:
		return st.Code()
	}
	return codes.Internal
}
