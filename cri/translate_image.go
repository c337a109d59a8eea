package cri

import (
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
)

// verboseImage is what verbose image status adds.
type verboseImage struct {
	Platform string              `json:"platform"`
	Manifest string              `json:"manifest"`
	Created  time.Time           `json:"created"`
	Config   ocispec.ImageConfig `json:"config"`
}

func imageAuth(a *runtimeapi.AuthConfig) *imageservice.Auth {
	if a == nil {
		return nil
	}
	return &imageservice.Auth{
		Username: a.GetUsername(), Password: a.GetPassword(), Auth: a.GetAuth(),
		ServerAddress: a.GetServerAddress(),
		IdentityToken: a.GetIdentityToken(), RegistryToken: a.GetRegistryToken(),
	}
}

// image is an image as CRI tells it. Its spec names a handler only if it is
// not for the default one's pods, as kubelet compares it with the pod's.
func (s *Server) image(img *imageservice.Image) *runtimeapi.Image {
	out := &runtimeapi.Image{
		Id:          img.ID,
		RepoTags:    img.RepoTags,
		RepoDigests: img.RepoDigests,
		Size:        uint64(max(img.Size, 0)),
		Spec:        &runtimeapi.ImageSpec{Image: img.ID, RuntimeHandler: s.cfg.handlerOf(img.OS)},
		Pinned:      img.Pinned,
	}
	out.Uid, out.Username = imageUser(img.Config.User)
	return out
}

// handlerOf names the handler of images for an OS; "" is the default's.
func (c Config) handlerOf(os guest.OS) string {
	if def, _ := c.DefaultHandler.OS(); def == os {
		return ""
	}
	if os == guest.Windows {
		return string(guest.WCOW)
	}
	return string(guest.LCOW)
}

// imageUser reads the user of an image's config: "user", "uid", "user:group"
// or "uid:gid". A number is a uid, anything else a name.
func imageUser(user string) (*runtimeapi.Int64Value, string) {
	user, _, _ = strings.Cut(user, ":")
	if user == "" {
		return nil, ""
	}
	if uid, err := strconv.ParseInt(user, 10, 64); err == nil {
		return &runtimeapi.Int64Value{Value: uid}, ""
	}
	return nil, user
}
