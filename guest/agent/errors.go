//go:build linux

package agent

import (
	"context"
	"errors"
	"regexp"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// asStatus gives an error the code the host is told; one without a code is INTERNAL.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

// coded is an error with a code whose text stays plain when it is wrapped.
type coded struct{ status *status.Status }

func (e *coded) Error() string              { return e.status.Message() }
func (e *coded) GRPCStatus() *status.Status { return e.status }

func errorf(code codes.Code, format string, args ...any) error {
	return &coded{status.Newf(code, format, args...)}
}

func invalid(format string, args ...any) error { return errorf(codes.InvalidArgument, format, args...) }

func notFound(format string, args ...any) error { return errorf(codes.NotFound, format, args...) }

func wrongState(format string, args ...any) error {
	return errorf(codes.FailedPrecondition, format, args...)
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// checkID bounds what becomes a file name and a cgroup's name.
func checkID(what, id string) error {
	if !idPattern.MatchString(id) {
		return invalid("%s %q: want 1 to 64 of letters, digits, _ . -, beginning with a letter or digit", what, id)
	}
	return nil
}
