// Package imageservice pulls, keeps and unpacks images for every platform.
//
// Images are keyed by (reference, platform): both platforms of one reference
// live side by side. Which platform is meant is always the caller's to say; no
// default of the process decides.
package imageservice

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/guest"
)

// Errors that the Store wraps, tested for with errors.Is.
var (
	// ErrNotFound: no such image here, or in the registry.
	ErrNotFound = errors.New("image not found")
	// ErrInvalidReference: the reference cannot be parsed.
	ErrInvalidReference = errors.New("invalid image reference")
	// ErrNoPlatform: the image has no manifest for the platform; the error names those it has.
	ErrNoPlatform = errors.New("image has no such platform")
	// ErrUnauthorized: the registry refused the credentials.
	ErrUnauthorized = errors.New("registry refused access")
	// ErrCorrupt: what the registry sent does not match its digest or size, or cannot be read as an image.
	ErrCorrupt = errors.New("image is corrupt")
	// ErrNoSpace: the disk is full.
	ErrNoSpace = errors.New("no space left on the image disk")
	// ErrUnavailable: no registry host answered.
	ErrUnavailable = errors.New("registry unavailable")
	// ErrUnsupported: this host cannot do it with this image.
	ErrUnsupported = errors.New("not supported for this image")
)

// Service is what sandboxes and CRI need of images. Store implements it.
type Service interface {
	// Pull fetches an image for one OS, unpacks it and returns it. Concurrent
	// pulls of the same image share their work. On error nothing half-made is left,
	// but whole blobs may stay leased for a while so that a retry resumes.
	Pull(ctx context.Context, ref string, os guest.OS, auth *Auth) (Image, error)
	// Get finds an image by tag, digest reference, or id (with or without
	// "sha256:"; unique prefixes are not accepted). ErrNotFound if there is none for that OS.
	Get(ctx context.Context, refOrID string, os guest.OS) (Image, error)
	// Find is Get for any OS: all images that the name means.
	Find(ctx context.Context, refOrID string) ([]Image, error)
	// List returns every image, one entry per image id.
	List(ctx context.Context) ([]Image, error)
	// Remove deletes every reference of the images that the name means, on every
	// platform. Layers in use by a Lease stay until released. An unknown name succeeds.
	Remove(ctx context.Context, refOrID string) error
	// Layers leases the unpacked layers of an image to an owner (a container
	// id), lowest first, until ReleaseLayers. Leasing again for the same owner returns the same;
	// an owner may lease several images.
	Layers(ctx context.Context, imageID string, owner string) ([]Layer, error)
	// ReleaseLayers ends an owner's lease. An unknown owner succeeds.
	ReleaseLayers(ctx context.Context, owner string) error
	// LeaseOwners names every owner of a lease, to reap strays.
	LeaseOwners(ctx context.Context) ([]string, error)
	// FSInfo tells the disk use of images.
	FSInfo(ctx context.Context) (FSInfo, error)
}

// Auth is a registry's credentials, as CRI's AuthConfig. Auth (base64 user:password) wins over Username.
type Auth struct {
	Username, Password, Auth     string
	ServerAddress                string
	IdentityToken, RegistryToken string
}

// Image is one platform's image in the store.
type Image struct {
	// ID is the digest of the image's config.
	ID string
	// RepoTags and RepoDigests are the references that mean it, normalised.
	RepoTags, RepoDigests []string
	// Platform is the manifest's.
	Platform ocispec.Platform
	// OS is Platform.OS as a type.
	OS guest.OS
	// Manifest is the digest of the platform's manifest.
	Manifest digest.Digest
	// Size is the bytes of manifest, config and compressed layers.
	Size int64
	// Config is the image's config, bounded and checked.
	Config ocispec.ImageConfig
	// Created is zero when the image does not say.
	Created time.Time
	// Pinned images are not garbage-collected by kubelet.
	Pinned bool
}

// Layer is an unpacked layer: a read-only disk, or a folder of a Windows image's layer.
type Layer struct {
	// ID is the layer's DiffID: the digest of its uncompressed tar.
	ID digest.Digest
	// Path is the disk file on the host, or the folder.
	Path string
	// FSType of the disk: "ext4". Empty for a folder.
	FSType string
}

// FSInfo is the disk use of images.
type FSInfo struct {
	Time       time.Time
	Mountpoint string
	UsedBytes  uint64
	Inodes     uint64
}
