package qemu

import (
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestArgs(t *testing.T) {
	serial := paths{name: "a", kernel: "/dev/fd/3", initrd: "/dev/fd/4", qmpFD: 5, consoleFD: 6, agentFD: 7, shareFD: 8}
	for name, c := range map[string]struct {
		shape        shape
		paths        paths
		want, absent []string
	}{
		"tcg": {
			shape: shape{accel: "tcg", memory: 256 * mib, cpus: 1, tscKHz: 2600000},
			paths: serial,
			want: []string{
				"-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
				"-no-reboot", "-nodefaults", "-no-user-config", "-accel tcg,tb-size=128 -cpu Nehalem,-spec-ctrl",
				"-m size=256M -object memory-backend-ram,id=mem,size=256M",
				"mitigations=off", "tsc_early_khz=2600000", "noreplace-smp",
				"socket,id=agent,fd=7,server=on,wait=off", "name=paddock.agent", "name=paddock.share",
				"-kernel /dev/fd/3 -initrd /dev/fd/4", "pcie-root-port,id=nicport3,chassis=4,slot=4",
			},
			absent: []string{"virtio-mem", "maxmem", "vsock", "kvm"},
		},
		"kvm": {
			shape:  shape{accel: "kvm", memory: 512 * mib, cpus: 2, maxCPUs: 8, tscKHz: 2600000},
			paths:  serial,
			want:   []string{"-accel kvm -cpu host -smp 2,maxcpus=8"},
			absent: []string{"mitigations=off", "tsc_early_khz", "noreplace-smp", "tcg"},
		},
		"growing": {
			shape: shape{accel: "kvm", memory: 256 * mib, hotMemory: 1024 * mib, cpus: 1},
			paths: serial,
			want: []string{"-m size=256M,maxmem=1280M", "memory-backend-ram,id=hotmem,size=1024M,reserve=off",
				"virtio-mem-pci,id=vmem,memdev=hotmem,requested-size=0", "memhp_default_state=online"},
		},
		"vsock": {
			shape:  shape{accel: "kvm", memory: 256 * mib, cpus: 1, vsock: true},
			paths:  paths{name: "a", vhostFD: 9, guestCID: 77},
			want:   []string{"vhost-vsock-pci,guest-cid=77,vhostfd=9"},
			absent: []string{"virtio-serial", "paddock.agent"},
		},
		"template": {
			shape:  shape{accel: "tcg", memory: 256 * mib, cpus: 1, nic: true},
			paths:  paths{name: "a", origin: asTemplate, kernel: "/dev/fd/3", initrd: "/dev/fd/4", memory: "/dev/fd/5", tapFD: 6},
			want:   []string{"memory-backend-file,id=mem,size=256M,mem-path=/dev/fd/5,share=on", "-kernel /dev/fd/3", "-netdev tap,id=net-born,fd=6", "mac=" + bornMAC},
			absent: []string{"-incoming", "vhost"},
		},
		"clone": {
			shape:  shape{accel: "tcg", memory: 256 * mib, cpus: 1, nic: true},
			paths:  paths{name: "a", origin: asClone, memory: "/dev/fd/5", tapFD: 6, vhostNetFD: 7},
			want:   []string{"mem-path=/dev/fd/5,share=off", "-incoming defer", "fd=6,vhost=on,vhostfd=7"},
			absent: []string{"-kernel", "-initrd", "-append", "share=on"},
		},
		"more for the kernel": {
			shape: shape{accel: "tcg", memory: 256 * mib, cpus: 1, extraArgs: "debug"},
			paths: serial,
			want:  []string{"-cpu Nehalem", "debug"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(args(c.shape, c.paths), " ")
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("no %q in %s", w, got)
				}
			}
			for _, a := range c.absent {
				if strings.Contains(got, a) {
					t.Errorf("%q in %s", a, got)
				}
			}
		})
	}
	s := shape{accel: "tcg", memory: 256 * mib, cpus: 1}
	if !slices.Equal(args(s, serial), args(s, serial)) {
		t.Error("the same shape and paths gave different arguments")
	}
}

func TestPathsThatAreTooLongAreRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("its paths are a Linux host's")
	}
	c := Config{Kernel: "/k", Initrd: "/i", StateDir: "/" + strings.Repeat("x", maxStateDir)}
	if _, err := c.withDefaults(); err == nil {
		t.Error("accepted a state directory too long for sockets")
	}
	c.StateDir = DefaultStateDir
	if _, err := c.withDefaults(); err != nil {
		t.Errorf("refused the default: %v", err)
	}
}
