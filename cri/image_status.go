package cri

import (
	"context"
	"errors"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
)

// ImageStatus tells of an image; nothing, without an error, if there is none.
func (s *Server) ImageStatus(ctx context.Context, r *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	if err := checkImage("image", r.GetImage()); err != nil {
		return nil, err
	}
	os, err := s.cfg.imageOS(r.GetImage().GetRuntimeHandler(), r.GetImage().GetAnnotations())
	if err != nil {
		return nil, err
	}
	img, err := s.findImage(ctx, r.GetImage().GetImage(), os)
	if errors.Is(err, imageservice.ErrNotFound) {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	resp := &runtimeapi.ImageStatusResponse{Image: s.image(&img)}
	if r.GetVerbose() {
		resp.Info = map[string]string{"info": toJSON(verboseImage{
			Platform: img.Platform.OS + "/" + img.Platform.Architecture,
			Manifest: img.Manifest.String(),
			Created:  img.Created,
			Config:   img.Config,
		})}
	}
	return resp, nil
}

// findImage finds the image that a reference means on an OS. An image's id means that image, whatever its OS:
// it names one platform.
func (s *Server) findImage(ctx context.Context, name string, os guest.OS) (imageservice.Image, error) {
	img, err := s.images.Get(ctx, name, os)
	if !errors.Is(err, imageservice.ErrNotFound) {
		return img, err
	}
	found, ferr := s.images.Find(ctx, name)
	if ferr != nil {
		return imageservice.Image{}, ferr
	}
	for _, f := range found {
		if strings.TrimPrefix(f.ID, "sha256:") == strings.TrimPrefix(name, "sha256:") {
			return f, nil
		}
	}
	return imageservice.Image{}, err
}
