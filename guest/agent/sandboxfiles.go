//go:build linux

package agent

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/api"
)

var sandboxFiles = map[api.SandboxFile]string{
	api.SandboxFile_SANDBOX_FILE_HOSTS:       "hosts",
	api.SandboxFile_SANDBOX_FILE_HOSTNAME:    "hostname",
	api.SandboxFile_SANDBOX_FILE_RESOLV_CONF: "resolv.conf",
	api.SandboxFile_SANDBOX_FILE_SHM:         "shm",
}

// writeSandboxFiles writes the pod's files; they belong to its containers' root, by its id in the VM.
func writeSandboxFiles(req *api.ConfigureSandboxRequest, owner int) error {
	if err := os.MkdirAll(sandboxDir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"hosts":       hostsFile(req),
		"hostname":    req.Hostname + "\n",
		"resolv.conf": resolvConf(req.Dns),
	} {
		path := filepath.Join(sandboxDir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		if err := os.Chown(path, owner, owner); err != nil {
			return err
		}
	}
	return nil
}

// removeSandboxFiles undoes writeSandboxFiles and mountShm.
func removeSandboxFiles() error {
	shm := filepath.Join(sandboxDir, sandboxFiles[api.SandboxFile_SANDBOX_FILE_SHM])
	if isMountPoint(shm) {
		if err := unix.Unmount(shm, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", shm, err)
		}
	}
	return os.RemoveAll(sandboxDir)
}

func hostsFile(req *api.ConfigureSandboxRequest) string {
	if len(req.Hosts) > 0 {
		return string(req.Hosts)
	}
	var b strings.Builder
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n" +
		"fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
	for _, itf := range req.GetNetwork().GetInterfaces() {
		for _, cidr := range itf.Addresses {
			if ip, _, err := net.ParseCIDR(cidr); err == nil && req.Hostname != "" {
				fmt.Fprintf(&b, "%s\t%s\n", ip, req.Hostname)
			}
		}
	}
	return b.String()
}

func resolvConf(dns *api.DNS) string {
	var b strings.Builder
	if len(dns.GetSearches()) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(dns.Searches, " "))
	}
	for _, s := range dns.GetServers() {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(dns.GetOptions()) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(dns.Options, " "))
	}
	return b.String()
}
