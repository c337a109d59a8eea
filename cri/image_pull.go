package cri

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	crierrors "k8s.io/cri-api/pkg/errors"

	"github.com/paddock-run/paddock/imageservice"
)

// PullImage fetches an image for the OS that the request means and answers its id.
func (s *Server) PullImage(ctx context.Context, r *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	if err := checkImage("image", r.GetImage()); err != nil {
		return nil, err
	}
	os, err := s.cfg.imageOS(r.GetImage().GetRuntimeHandler(), r.GetImage().GetAnnotations(), r.GetSandboxConfig().GetAnnotations())
	if err != nil {
		return nil, err
	}
	img, err := s.images.Pull(ctx, r.GetImage().GetImage(), os, imageAuth(r.GetAuth()))
	if err != nil {
		return nil, pullError(err, r.GetAuth() != nil)
	}
	return &runtimeapi.PullImageResponse{ImageRef: img.ID}, nil
}

// pullError gives errors of a pull the form that kubelet knows. It looks for
// the names of cri-api's errors at the very start of a message, which its
// client leaves there for codes.Unknown only.
func pullError(err error, withCredentials bool) error {
	switch {
	case errors.Is(err, imageservice.ErrUnavailable):
		return errorf(codes.Unknown, "%v: %v", crierrors.ErrRegistryUnavailable, err)
	case errors.Is(err, imageservice.ErrUnauthorized) && !withCredentials:
		return errorf(codes.Unauthenticated, "%v", err)
	}
	return err
}
