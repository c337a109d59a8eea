package cri

import (
	"context"
	"errors"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/imageservice"
)

// ListImages lists all images, or those that a name means.
func (s *Server) ListImages(ctx context.Context, r *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	items, err := s.listImages(ctx, r.GetFilter())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ListImagesResponse{Images: items}, nil
}

// StreamImages lists the same in parts.
func (s *Server) StreamImages(r *runtimeapi.StreamImagesRequest, stream runtimeapi.ImageService_StreamImagesServer) error {
	items, err := s.listImages(stream.Context(), r.GetFilter())
	if err != nil {
		return err
	}
	return sendInParts(items, func(part []*runtimeapi.Image) error {
		return stream.Send(&runtimeapi.StreamImagesResponse{Images: part})
	})
}

func (s *Server) listImages(ctx context.Context, f *runtimeapi.ImageFilter) ([]*runtimeapi.Image, error) {
	images, err := s.selectImages(ctx, f.GetImage())
	if err != nil {
		return nil, err
	}
	items := make([]*runtimeapi.Image, 0, len(images))
	for i := range images {
		items = append(items, s.image(&images[i]))
	}
	return items, nil
}

func (s *Server) selectImages(ctx context.Context, spec *runtimeapi.ImageSpec) ([]imageservice.Image, error) {
	if spec.GetImage() == "" {
		return s.images.List(ctx)
	}
	if err := checkImage("filter.image", spec); err != nil {
		return nil, err
	}
	found, err := s.images.Find(ctx, spec.GetImage())
	if errors.Is(err, imageservice.ErrNotFound) {
		return nil, nil
	}
	return found, err
}
