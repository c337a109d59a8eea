package hcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge/bridgetest"
)

// share is a vSMB share.
type share struct {
	Name, Path   string
	AllowedFiles []string
	Options      struct{ ReadOnly, TakeBackupPrivilege, RestrictFileAccess, SingleFileMapping, NoDirectmap bool }
}

// shareRoot is where a Windows guest has its shares.
const shareRoot = `\\?\VMSMB\VSMB-{dcc079ae-60ba-4d07-847c-3493609c0870}\`

func osType(sys *system) string {
	if sys.document.VirtualMachine.Chipset.Uefi != nil {
		return "Windows"
	}
	return "Linux"
}

// startWindows "boots" a Windows VM: its machine, which runs nothing, has the devices,
// and a guest service is played. What a real one needs to boot has to be there.
func (s *Server) startWindows(sys *system) *refusal {
	v := sys.document.VirtualMachine
	if v.Devices.VirtualSmb == nil {
		return refuse(invalidArgument, "nothing to boot from")
	}
	for _, sh := range v.Devices.VirtualSmb.Shares {
		if bad := s.addShare(sys, sh); bad != nil {
			return bad
		}
	}
	if _, err := s.sharePath(sys, shareRoot+"os"+v.Chipset.Uefi.BootThis.DevicePath); err != nil {
		return refuse(fileNotFound, "boot manager: %v", err)
	}
	if len(v.Devices.Scsi) != 1 {
		return refuse(invalidArgument, "%d SCSI controllers; a Windows guest has one", len(v.Devices.Scsi))
	}
	m, err := startMachine(boot{memoryMB: v.ComputeTopology.Memory.SizeInMB, processors: v.ComputeTopology.Processor.Count, stopped: true},
		func(m *machine) { s.ended(sys, m) })
	if err != nil {
		return refuse(unspecified, "%v", err)
	}
	g := bridgetest.New(bridgetest.Config{
		Dial:    func(service string) (net.Conn, error) { return s.dialHost(sys.runtimeID, service) },
		Check:   s.schema.Check,
		Path:    func(path string) error { _, err := s.sharePath(sys, path); return err },
		Disk:    func(lun int32) error { return s.hasDisk(sys, lun) },
		Refused: func(what string) { s.logf("the guest of %s: %s", sys.id, what) },
	})
	s.mu.Lock()
	sys.machine, sys.state, sys.guest = m, running, g
	s.mu.Unlock()
	if bad := s.addDevices(sys); bad != nil {
		return bad
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	sys.mute = cancel
	s.mu.Unlock()
	go func() {
		<-m.ended
		cancel()
	}()
	go g.Run(ctx)
	return nil
}

func (s *Server) addShare(sys *system, sh share) *refusal {
	path, err := HostPath(s.prefix, sh.Path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return refuse(fileNotFound, "%s: %v", sh.Path, err)
	}
	if sh.Options.RestrictFileAccess != (len(sh.AllowedFiles) > 0) {
		return refuse(invalidArgument, "a list of allowed files without restriction, or the reverse")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := sys.shares[sh.Name]; taken || sh.Name == "" {
		return refuse(result(0x800700B7), "there is a share %q", sh.Name)
	}
	sys.shares[sh.Name] = sh
	return nil
}

func (s *Server) modifyShare(sys *system, kind string, raw json.RawMessage) *refusal {
	var sh share
	if bad := s.settings("VirtualSmbShare", raw, &sh); bad != nil {
		return bad
	}
	if sys.guest == nil {
		return refuse(notFound, "the system has no vSMB")
	}
	switch kind {
	case "Add":
		return s.addShare(sys, sh)
	case "Remove":
		s.mu.Lock()
		defer s.mu.Unlock()
		was, there := sys.shares[sh.Name]
		if !there {
			return refuse(notFound, "no share %q", sh.Name)
		}
		if !was.Options.NoDirectmap {
			return refuse(invalidState, "files of share %q are mapped", sh.Name)
		}
		delete(sys.shares, sh.Name)
		return nil
	}
	return refuse(invalidArgument, "request type %q of a share", kind)
}

// sharePath is the host's file behind a path in a share.
func (s *Server) sharePath(sys *system, path string) (string, error) {
	rest, found := strings.CutPrefix(path, shareRoot)
	if !found {
		return "", errors.New("not in a share")
	}
	name, below, _ := strings.Cut(rest, `\`)
	s.mu.Lock()
	sh, there := sys.shares[name]
	s.mu.Unlock()
	if !there {
		return "", fmt.Errorf("no share %q", name)
	}
	file := sh.Path
	if below != "" {
		file += `\` + below
	}
	if sh.Options.RestrictFileAccess && !strings.EqualFold(file, sh.AllowedFiles[0]) {
		return "", fmt.Errorf("%s is not among the allowed files", file)
	}
	host, err := HostPath(s.prefix, file)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(host)
	return host, err
}

func (s *Server) hasDisk(sys *system, lun int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := sys.disks[fmt.Sprintf("%s/%d", guest.HyperVControllers[0], lun)]; !there {
		return fmt.Errorf("no disk at LUN %d", lun)
	}
	return nil
}
