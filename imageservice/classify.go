package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
)

// sentinels are this package's own classes of errors.
var sentinels = []error{ErrNotFound, ErrInvalidReference, ErrNoPlatform, ErrUnauthorized,
	ErrCorrupt, ErrNoSpace, ErrUnavailable, ErrUnsupported}

// classify gives an error of the registry client or the disk one of this
// package's classes. What is classified already stays as it is.
func classify(err error) error {
	if err == nil {
		return nil
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return err
		}
	}
	if class := classOf(err); class != nil {
		return fmt.Errorf("%w: %w", class, err)
	}
	return err
}

func classOf(err error) error {
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case isNoSpace(err):
		return ErrNoSpace
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return ErrUnauthorized
	case errors.As(err, &status):
		return classOfStatus(status.StatusCode)
	case errdefs.IsNotFound(err):
		return ErrNotFound
	case errdefs.IsFailedPrecondition(err):
		return ErrCorrupt
	case isNetwork(err), errdefs.IsUnavailable(err):
		return ErrUnavailable
	}
	return nil
}

func classOfStatus(code int) error {
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return ErrUnauthorized
	case code == http.StatusNotFound:
		return ErrNotFound
	}
	return ErrUnavailable
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isNetwork(err error) bool {
	var netErr net.Error
	var urlErr *url.Error
	return errors.As(err, &netErr) || errors.As(err, &urlErr) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// isTransient tells whether trying again may help.
func isTransient(err error) bool {
	var status remoteerrors.ErrUnexpectedStatus
	if errors.As(err, &status) {
		return status.StatusCode >= 500 || status.StatusCode == http.StatusTooManyRequests || status.StatusCode == http.StatusRequestTimeout
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || isNoSpace(err) {
		return false
	}
	return isNetwork(err)
}
