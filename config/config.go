package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/paddock-run/paddock/guest"
)

// Config is the configuration. default.yaml says what each field means.
type Config struct {
	Root           string        `json:"root"`
	State          string        `json:"state"`
	Socket         string        `json:"socket"`
	GuestDir       string        `json:"guestDir"`
	DefaultHandler guest.Handler `json:"defaultHandler"`
	LogLevel       int           `json:"logLevel"`
	VM             VM            `json:"vm"`
	CNI            CNI           `json:"cni"`
	HostNetwork    HostNetwork   `json:"hostNetwork"`
	Registry       Registry      `json:"registry"`
	Images         Images        `json:"images"`
	CDI            CDI           `json:"cdi"`
	Volumes        Volumes       `json:"volumes"`
	Streaming      Streaming     `json:"streaming"`
	Windows        Windows       `json:"windows"`
	NRI            NRI           `json:"nri"`
}

// VM configures utility VMs.
type VM struct {
	QEMU      string            `json:"qemu"`
	Memory    resource.Quantity `json:"memory"`
	Overhead  resource.Quantity `json:"overhead"`
	Templates bool              `json:"templates"`
	Pool      Pool              `json:"pool"`
	Scratch   resource.Quantity `json:"scratch"`
}

// Pool bounds what is made ahead of pods.
type Pool struct {
	Min    int               `json:"min"`
	Max    int               `json:"max"`
	Memory resource.Quantity `json:"memory"`
}

// CNI configures the pod network.
type CNI struct {
	ConfDir string   `json:"confDir"`
	BinDirs []string `json:"binDirs"`
}

// Registry configures pulls.
type Registry struct {
	CertsDir               string `json:"certsDir"`
	MaxConcurrentDownloads int    `json:"maxConcurrentDownloads"`
}

// Images configures the image store.
type Images struct {
	MaxLayerSize resource.Quantity `json:"maxLayerSize"`
	Pinned       []string          `json:"pinned"`
}

// Windows configures Windows pods.
type Windows struct {
	BaseImage string `json:"baseImage"`
}

// CDI configures devices of the Container Device Interface.
type CDI struct {
	Enabled  bool     `json:"enabled"`
	SpecDirs []string `json:"specDirs"`
}

// Volumes configures how pods see the host's files.
type Volumes struct {
	ChangeNotices bool     `json:"changeNotices"`
	Direct        []string `json:"direct"`
}

// Dirs are the folders to look for specs in; none when CDI is switched off.
func (c CDI) Dirs() []string {
	if !c.Enabled {
		return nil
	}
	return c.SpecDirs
}

// Streaming configures the server of exec, attach and port-forward.
type Streaming struct {
	Address string `json:"address"`
}

// NRI configures plugins of the Node Resource Interface.
type NRI struct {
	Enable              bool            `json:"enable"`
	Socket              string          `json:"socket"`
	DisableConnections  bool            `json:"disableConnections"`
	PluginDir           string          `json:"pluginDir"`
	PluginConfigDir     string          `json:"pluginConfigDir"`
	RegistrationTimeout metav1.Duration `json:"registrationTimeout"`
	RequestTimeout      metav1.Duration `json:"requestTimeout"`
	Validator           NRIValidator    `json:"validator"`
}

// NRIValidator configures NRI's own validator.
type NRIValidator struct {
	Enable                    bool     `json:"enable"`
	RejectOCIHooks            bool     `json:"rejectOCIHooks"`
	RejectSeccompDefault      bool     `json:"rejectSeccompDefault"`
	RejectSeccompUnconfined   bool     `json:"rejectSeccompUnconfined"`
	RejectSeccompLocalhost    bool     `json:"rejectSeccompLocalhost"`
	RejectNamespaces          bool     `json:"rejectNamespaces"`
	RejectSysctls             bool     `json:"rejectSysctls"`
	RequiredPlugins           []string `json:"requiredPlugins"`
	TolerateMissingAnnotation string   `json:"tolerateMissingAnnotation"`
}

// Load reads a file over the defaults; path "" means the defaults alone. An
// unknown key or a value that cannot work is an error that names it.
func Load(path string) (*Config, error) {
	if path == "" {
		return parse(nil)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func parse(data []byte) (*Config, error) {
	c := new(Config)
	if err := yaml.UnmarshalStrict(Default, c); err != nil {
		return nil, fmt.Errorf("built-in defaults: %w", err)
	}
	if err := yaml.UnmarshalStrict(data, c); err != nil {
		return nil, err
	}
	for _, path := range c.paths() {
		if err := expandPath(path); err != nil {
			return nil, err
		}
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	for key, path := range map[string]string{"root": c.Root, "state": c.State} {
		if !filepath.IsAbs(path) {
			bad(key, "%q is not an absolute path", path)
		}
	}
	if _, err := c.Endpoint(); err != nil {
		bad("socket", "%v", err)
	}
	if _, known := c.DefaultHandler.OS(); !known {
		bad("defaultHandler", "%q is neither %q nor %q", c.DefaultHandler, guest.LCOW, guest.WCOW)
	}
	for key, q := range map[string]resource.Quantity{"vm.memory": c.VM.Memory, "vm.scratch": c.VM.Scratch} {
		if q.Value() < 64<<20 {
			bad(key, "%s is less than 64Mi", q.String())
		}
	}
	if c.VM.Overhead.Sign() < 0 {
		bad("vm.overhead", "%s is negative", c.VM.Overhead.String())
	}
	if p := c.VM.Pool; p.Min < 0 || p.Max < p.Min || p.Max > 256 {
		bad("vm.pool", "min %d, max %d: want 0 <= min <= max <= 256", p.Min, p.Max)
	}
	if c.VM.Pool.Memory.Sign() <= 0 {
		bad("vm.pool.memory", "%s is not positive", c.VM.Pool.Memory.String())
	}
	if c.Images.MaxLayerSize.Sign() <= 0 {
		bad("images.maxLayerSize", "%s is not positive", c.Images.MaxLayerSize.String())
	}
	for _, name := range c.Images.Pinned {
		if _, err := reference.ParseDockerRef(name); err != nil {
			bad("images.pinned", "%q: %v; want registry/name:tag or registry/name@digest", name, err)
		}
	}
	for _, dir := range c.CDI.SpecDirs {
		if !filepath.IsAbs(dir) {
			bad("cdi.specDirs", "%q is not an absolute path", dir)
		}
	}
	if c.CDI.Enabled && len(c.CDI.SpecDirs) == 0 {
		bad("cdi.specDirs", "is empty; name the folders of CDI specs, or set cdi.enabled: false")
	}
	for _, dir := range c.Volumes.Direct {
		if !filepath.IsAbs(dir) {
			bad("volumes.direct", "%q is not an absolute path", dir)
		}
	}
	if n := c.Registry.MaxConcurrentDownloads; n < 1 || n > 64 {
		bad("registry.maxConcurrentDownloads", "%d is not within 1 to 64", n)
	}
	if _, _, err := net.SplitHostPort(c.Streaming.Address); err != nil {
		bad("streaming.address", "%v", err)
	}
	if len(c.CNI.BinDirs) == 0 {
		bad("cni.binDirs", "is empty; name the folder of the CNI plugins, such as /opt/cni/bin")
	}
	c.NRI.validate(bad)
	c.HostNetwork.validate(bad)
	return errors.Join(errs...)
}

// maxSocketPath is the longest path that a Unix socket can have, in bytes.
const maxSocketPath = 107

func (n *NRI) validate(bad func(key, format string, args ...any)) {
	for key, path := range map[string]string{"nri.socket": n.Socket, "nri.pluginDir": n.PluginDir, "nri.pluginConfigDir": n.PluginConfigDir} {
		if !filepath.IsAbs(path) && (path != "" || key != "nri.socket") {
			bad(key, "%q is not an absolute path", path)
		}
	}
	if len(n.Socket) > maxSocketPath {
		bad("nri.socket", "%q is longer than %d bytes", n.Socket, maxSocketPath)
	}
	for key, d := range map[string]metav1.Duration{"nri.registrationTimeout": n.RegistrationTimeout, "nri.requestTimeout": n.RequestTimeout} {
		if d.Duration <= 0 {
			bad(key, "%v is not positive", d.Duration)
		}
	}
}

// NRISocket is where NRI's plugins connect, by the rule of NRI.Socket; "": none may.
func (c *Config) NRISocket() string {
	switch {
	case c.NRI.DisableConnections:
		return ""
	case c.NRI.Socket != "":
		return c.NRI.Socket
	}
	return filepath.Join(c.State, "nri", "nri.sock")
}

// paths are the keys that name a file or folder, in which expandPath works.
func (c *Config) paths() []*string {
	all := []*string{&c.Root, &c.State, &c.GuestDir, &c.CNI.ConfDir, &c.Registry.CertsDir, &c.NRI.Socket, &c.NRI.PluginDir, &c.NRI.PluginConfigDir}
	for _, list := range [][]string{c.CNI.BinDirs, c.CDI.SpecDirs} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	return all
}

// ResolveGuestDir returns the folder of the guest image, by the rule of GuestDir.
func (c *Config) ResolveGuestDir() string {
	if c.GuestDir != "" {
		return c.GuestDir
	}
	if exe, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(exe), "guest")
		if _, err := os.Stat(filepath.Join(beside, "initrd.img")); err == nil {
			return beside
		}
	}
	return installedGuestDir
}
