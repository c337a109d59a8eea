package cri

import (
	"fmt"
	"net"
	"slices"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
)

// Config is what the servers tell of themselves and where they stream.
type Config struct {
	// Version is Paddock's version, as Version and Status report it.
	Version string
	// Backend describes for people what runs the pods: hypervisor, accelerator,
	// what is for development only. Status reports it, by name.
	Backend map[string]string
	// Handlers are the runtime handlers whose pods can be run.
	Handlers []guest.Handler
	// DefaultHandler is meant by an empty runtime handler. It is one of Handlers.
	DefaultHandler guest.Handler
	// MountOptions tells whether the Runtime applies podsandbox.Mount.Options;
	// if not, mounts with options are refused.
	MountOptions bool
	// HostNetwork tells whether pods may be on the node's network; if not, those
	// that ask for it are refused.
	HostNetwork bool
	// StreamAddr is where exec, attach and port-forward are served; "": 127.0.0.1:0.
	// It should be on loopback: whoever knows a URL may use it, once.
	StreamAddr string
	// StreamIdleTimeout ends streams without traffic; 0: 4 hours.
	StreamIdleTimeout time.Duration
	// CgroupDriver is what kubelet is told to use.
	CgroupDriver runtimeapi.CgroupDriver
	// HostOS is the node's operating system. It decides how host paths look.
	HostOS guest.OS
	// Processors is how many the node has: Windows' limits are parts of all of them. 0: 1.
	Processors int
	// ScratchMountpoint is the mount point or directory of the containers'
	// writable layers on the host; "": the images' one.
	ScratchMountpoint string
	// StatsTimeout bounds how long one pod's guest may take to answer for
	// its statistics; 0: 2 seconds.
	StatsTimeout time.Duration
}

const (
	defaultStreamAddr        = "127.0.0.1:0"
	defaultStreamIdleTimeout = 4 * time.Hour
	defaultStatsTimeout      = 2 * time.Second
)

// withDefaults returns the Config with its zero values filled in, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if len(c.Handlers) == 0 {
		return c, fmt.Errorf("cri: no runtime handler is configured")
	}
	for _, h := range c.Handlers {
		if _, ok := h.OS(); !ok {
			return c, fmt.Errorf("cri: runtime handler %q is unknown", h)
		}
	}
	if !slices.Contains(c.Handlers, c.DefaultHandler) {
		return c, fmt.Errorf("cri: the default runtime handler %q is not among the available ones %q", c.DefaultHandler, c.Handlers)
	}
	if c.HostOS != guest.Linux && c.HostOS != guest.Windows {
		return c, fmt.Errorf("cri: host operating system %v is not known", c.HostOS)
	}
	if c.StreamAddr == "" {
		c.StreamAddr = defaultStreamAddr
	}
	if _, _, err := net.SplitHostPort(c.StreamAddr); err != nil {
		return c, fmt.Errorf("cri: streaming address %q: %w", c.StreamAddr, err)
	}
	if c.StreamIdleTimeout <= 0 {
		c.StreamIdleTimeout = defaultStreamIdleTimeout
	}
	if c.StatsTimeout <= 0 {
		c.StatsTimeout = defaultStatsTimeout
	}
	return c, nil
}
