package imageservice

import (
	"path/filepath"
	"runtime"
	"time"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/guest"
)

// Defaults of Config.
const (
	DefaultRoot                   = "/var/lib/paddock/images"
	DefaultCertsDir               = "/etc/paddock/certs.d"
	DefaultMaxConcurrentDownloads = 3
	DefaultMaxLayerBytes          = 64 << 30
	DefaultPullProgressTimeout    = 5 * time.Minute
	DefaultRetention              = 24 * time.Hour
)

// Config is how a Store is set up. The zero value is the default of each field.
type Config struct {
	// Root is the folder that holds everything; it is made if missing.
	Root string
	// CertsDir holds a folder per registry with hosts.toml or certificates, in
	// containerd's layout, _default included. Several are separated as in PATH.
	CertsDir string
	// Architecture and Variant of the images to run; empty: this host's.
	Architecture, Variant string
	// WindowsVersion is the version of the Windows that runs images for it,
	// major.minor.build; images of a newer build are not chosen. Empty: all are.
	WindowsVersion string
	// WindowsFolders unpacks the layers of Windows images for VMs whose guest is
	// Windows. Nil: they become disks, for Wine in Linux guests.
	WindowsFolders LayerFolders
	// UserAgent is sent to registries.
	UserAgent string
	// MaxConcurrentDownloads bounds the layers that one pull fetches at a time.
	MaxConcurrentDownloads int
	// MaxConcurrentUnpacks bounds the layers unpacked at a time, of all pulls.
	MaxConcurrentUnpacks int
	// MaxLayerBytes bounds a layer's size once unpacked.
	MaxLayerBytes int64
	// PullProgressTimeout ends a pull that received no byte for so long.
	PullProgressTimeout time.Duration
	// Retention is how long the blobs of a failed pull wait for a retry.
	Retention time.Duration
	// PinnedImages are references, or ids, that kubelet must not garbage-collect.
	PinnedImages []string
}

func (c Config) withDefaults() Config {
	if c.Root == "" {
		c.Root = DefaultRoot
	}
	if c.CertsDir == "" {
		c.CertsDir = DefaultCertsDir
	}
	if c.Architecture == "" {
		c.Architecture = runtime.GOARCH
	}
	if c.UserAgent == "" {
		c.UserAgent = "paddock"
	}
	if c.MaxConcurrentDownloads <= 0 {
		c.MaxConcurrentDownloads = DefaultMaxConcurrentDownloads
	}
	if c.MaxConcurrentUnpacks <= 0 {
		c.MaxConcurrentUnpacks = runtime.NumCPU()
	}
	if c.MaxLayerBytes <= 0 {
		c.MaxLayerBytes = DefaultMaxLayerBytes
	}
	if c.PullProgressTimeout <= 0 {
		c.PullProgressTimeout = DefaultPullProgressTimeout
	}
	if c.Retention <= 0 {
		c.Retention = DefaultRetention
	}
	return c
}

// platform is what images for an OS have to match on this host.
func (c Config) platform(os guest.OS) ocispec.Platform {
	p := ocispec.Platform{OS: os.String(), Architecture: c.Architecture, Variant: c.Variant}
	if os == guest.Windows {
		p.OSVersion = c.WindowsVersion
	}
	return p
}

func (c Config) contentDir() string { return filepath.Join(c.Root, "content") }
func (c Config) layersDir() string  { return filepath.Join(c.Root, "layers") }
func (c Config) tempDir() string    { return filepath.Join(c.Root, "tmp") }

// pinned returns the set of pinned images' names as records have them.
func (c Config) pinned() map[string]bool {
	set := make(map[string]bool, len(c.PinnedImages))
	for _, name := range c.PinnedImages {
		if id, ok := parseID(name); ok {
			name = id
		} else if named, err := reference.ParseDockerRef(name); err == nil {
			name = named.String()
		}
		set[name] = true
	}
	return set
}
