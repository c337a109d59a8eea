package hcs

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/paddock-run/paddock/guest"
)

// modify changes a running system; one change after the other.
func (s *Server) modify(ctx context.Context, sys *system, text string) (string, *refusal) {
	if err := s.schema.Check("ModifySettingRequest", []byte(text)); err != nil {
		return "", refuse(invalidJSON, "%v", err)
	}
	select {
	case sys.busy <- struct{}{}:
		defer func() { <-sys.busy }()
	case <-ctx.Done():
		return "", refuse(cancelled, "cancelled")
	}
	if bad := s.in(sys, running, paused); bad != nil {
		return "", bad
	}
	var r struct {
		ResourcePath, RequestType string
		Settings                  json.RawMessage
	}
	_ = json.Unmarshal([]byte(text), &r)
	path, found := strings.CutPrefix(r.ResourcePath, "VirtualMachine/")
	parts := strings.Split(path, "/")
	switch {
	case !found:
	case len(parts) == 5 && parts[0] == "Devices" && parts[1] == "Scsi" && parts[3] == "Attachments":
		return "", s.modifyDisk(sys, r.RequestType, parts[2], parts[4], r.Settings)
	case len(parts) == 3 && parts[0] == "Devices" && parts[1] == "NetworkAdapters":
		return "", s.modifyNIC(sys, r.RequestType, parts[2], r.Settings)
	case path == "Devices/VirtualSmb/Shares":
		return "", s.modifyShare(sys, r.RequestType, r.Settings)
	case path == "ComputeTopology/Memory/SizeInMB":
		return "", s.modifyMemory(sys, r.RequestType, r.Settings)
	case path == "ComputeTopology/Processor/Limits":
		return "", s.modifyLimits(r.RequestType, r.Settings)
	}
	return "", refuse(invalidArgument, "no resource %q", r.ResourcePath)
}

// settings checks and reads a request's settings.
func (s *Server) settings(typeName string, raw json.RawMessage, to any) *refusal {
	if err := s.schema.Check(typeName, raw); err != nil {
		return refuse(invalidJSON, "%v", err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return refuse(invalidJSON, "%v", err)
	}
	return nil
}

func (s *Server) modifyDisk(sys *system, kind, controller, lun string, raw json.RawMessage) *refusal {
	switch kind {
	case "Add":
		var a attachment
		if bad := s.settings("Attachment", raw, &a); bad != nil {
			return bad
		}
		return s.addDisk(sys, controller, lun, a)
	case "Remove":
		s.mu.Lock()
		_, there := sys.disks[controller+"/"+lun]
		s.mu.Unlock()
		if !there {
			return refuse(notFound, "no disk at %s %s", controller, lun)
		}
		c, l, bad := address(controller, lun)
		if bad != nil {
			return bad
		}
		if err := sys.machine.unplugDisk(c, l); err != nil {
			return s.trouble(sys, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(sys.disks, controller+"/"+lun)
		return nil
	}
	return refuse(invalidArgument, "request type %q of a disk", kind)
}

func address(controller, lun string) (int, int, *refusal) {
	c := slices.Index(guest.HyperVControllers[:], controller)
	l, err := strconv.Atoi(lun)
	if c < 0 || err != nil || l < 0 || l > 63 || strconv.Itoa(l) != lun {
		return 0, 0, refuse(invalidArgument, "no SCSI place %s %s", controller, lun)
	}
	return c, l, nil
}

func (s *Server) addDisk(sys *system, controller, lun string, a attachment) *refusal {
	c, l, bad := address(controller, lun)
	if bad != nil {
		return bad
	}
	if _, there := sys.document.VirtualMachine.Devices.Scsi[controller]; !there {
		return refuse(notFound, "the system has no SCSI controller %s", controller)
	}
	if a.Type != "VirtualDisk" {
		return refuse(invalidArgument, "attachment type %q", a.Type)
	}
	if !isDisk(a.Path) {
		return refuse(result(0xC03A0014), "%s is neither a .vhd nor a .vhdx file", a.Path) // ERROR_VIRTDISK_PROVIDER_NOT_FOUND
	}
	file, bad := s.openable(sys, a.Path)
	if bad != nil {
		return bad
	}
	s.mu.Lock()
	_, taken := sys.disks[controller+"/"+lun]
	inUse := !a.ReadOnly && s.opened(file)
	s.mu.Unlock()
	if taken {
		return refuse(result(0x800700B7), "there is a disk at %s %s", controller, lun)
	}
	if inUse {
		return refuse(result(0x80070020), "%s is in use", a.Path) // ERROR_SHARING_VIOLATION
	}
	if err := sys.machine.plugDisk(c, l, file, a.ReadOnly); err != nil {
		return s.trouble(sys, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sys.disks[controller+"/"+lun] = file
	return nil
}

// opened tells whether any system has the file. Called with mu held.
func (s *Server) opened(file string) bool {
	for _, sys := range s.systems {
		for _, f := range sys.disks {
			if f == file && sys.state != stopped {
				return true
			}
		}
	}
	return false
}

func (s *Server) modifyNIC(sys *system, kind, id string, raw json.RawMessage) *refusal {
	var a adapter
	if bad := s.settings("NetworkAdapter", raw, &a); bad != nil {
		return bad
	}
	switch kind {
	case "Add":
		return s.addNIC(sys, id, a)
	case "Remove":
		s.mu.Lock()
		p, there := sys.nics[id]
		s.mu.Unlock()
		if !there {
			return refuse(notFound, "no network adapter %s", id)
		}
		if err := sys.machine.unplugNIC(id); err != nil {
			return s.trouble(sys, err)
		}
		removeLink(p.tap)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(sys.nics, id)
		return nil
	}
	return refuse(invalidArgument, "request type %q of a network adapter", kind)
}

func (s *Server) addNIC(sys *system, id string, a adapter) *refusal {
	if uuid.Validate(id) != nil {
		return refuse(invalidArgument, "network adapter %q is no GUID", id)
	}
	bridge, mac, bad := s.endpoint(a.EndpointId)
	if bad != nil {
		return bad
	}
	if a.MacAddress != "" {
		mac = a.MacAddress
	}
	address, err := net.ParseMAC(mac)
	if err != nil || !strings.Contains(mac, "-") {
		return refuse(invalidArgument, "%q is not a hardware address as the service writes them", mac)
	}
	s.mu.Lock()
	slot := freeSlot(sys)
	_, taken := sys.nics[id]
	s.mu.Unlock()
	if taken {
		return refuse(result(0x800700B7), "there is a network adapter %s", id)
	}
	if slot < 0 {
		return refuse(result(0x800705AA), "no slot for a further network adapter")
	}
	tap, err := makeTap(bridge)
	if err != nil {
		return refuse(unspecified, "%v", err)
	}
	if err := sys.machine.plugNIC(slot, id, tap, address.String()); err != nil {
		removeLink(tap)
		return s.trouble(sys, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sys.nics[id] = plug{slot, tap}
	return nil
}

func freeSlot(sys *system) int {
	for slot := range nicSlots {
		if !slices.ContainsFunc(slices.Collect(maps.Values(sys.nics)), func(p plug) bool { return p.slot == slot }) {
			return slot
		}
	}
	return -1
}

func (s *Server) modifyMemory(sys *system, kind string, raw json.RawMessage) *refusal {
	var mb uint64
	if kind != "" && kind != "Update" {
		return refuse(invalidArgument, "request type %q of memory", kind)
	}
	if err := json.Unmarshal(raw, &mb); err != nil {
		return refuse(invalidJSON, "%v", err)
	}
	base := sys.document.VirtualMachine.ComputeTopology.Memory.SizeInMB
	if mb == 0 || mb%2 != 0 || mb < base {
		return refuse(invalidArgument, "memory of %d MB", mb)
	}
	if sys.guest != nil { // whose machine runs nothing that could take it
		s.mu.Lock()
		defer s.mu.Unlock()
		sys.memoryMB = mb
		return nil
	}
	if err := sys.machine.resize(mb - base); err != nil {
		if errors.Is(err, errNoMemory) {
			return refuse(outOfMemory, "%v", err)
		}
		return s.trouble(sys, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sys.memoryMB = mb
	return nil
}

func (s *Server) modifyLimits(kind string, raw json.RawMessage) *refusal {
	var l struct{ Limit uint64 }
	if kind != "" && kind != "Update" {
		return refuse(invalidArgument, "request type %q of processor limits", kind)
	}
	if bad := s.settings("ProcessorLimits", raw, &l); bad != nil {
		return bad
	}
	if l.Limit == 0 || l.Limit > 100_000 {
		return refuse(invalidArgument, "a limit of %d", l.Limit)
	}
	return nil
}

// trouble is an error of the machine.
func (s *Server) trouble(sys *system, err error) *refusal {
	select {
	case <-sys.machine.ended:
		return refuse(systemStopped, "the system has stopped")
	default:
		return refuse(unspecified, "%v", err)
	}
}
