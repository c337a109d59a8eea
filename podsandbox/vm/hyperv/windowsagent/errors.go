package windowsagent

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func notFound(format string, args ...any) error {
	return status.Errorf(codes.NotFound, format, args...)
}

func wrongState(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

// unsupported says what a Windows VM on a Windows host cannot do.
func unsupported(format string, args ...any) error {
	return status.Errorf(codes.Unimplemented, format, args...)
}

// toStatus gives an error the gRPC code that guest/api says of it.
func toStatus(err error) error {
	if s, ok := status.FromError(err); ok {
		return status.Error(s.Code(), err.Error())
	}
	code := codes.Internal
	switch {
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, bridge.ErrLost):
		code = codes.Unavailable
	case errors.Is(err, computecore.ElementNotFound), errors.Is(err, computecore.SystemNotFound):
		code = codes.NotFound
	}
	return status.Error(code, err.Error())
}

// gone tells whether the guest refused because there is nothing any more to act upon.
func gone(err error) bool {
	for _, result := range []computecore.HRESULT{computecore.ElementNotFound, computecore.SystemNotFound, computecore.SystemStopped} {
		if errors.Is(err, result) {
			return true
		}
	}
	return false
}
