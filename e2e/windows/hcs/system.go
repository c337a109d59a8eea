package hcs

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge/bridgetest"
)

// States of a system.
const (
	created = "Created"
	running = "Running"
	paused  = "Paused"
	stopped = "Stopped"
)

// system is a compute system.
type system struct {
	id, runtimeID, owner, state string
	document                    document
	machine                     *machine
	terminated, saved           bool
	memoryMB                    uint64
	disks                       map[string]string // file by "controller/LUN"
	nics                        map[string]plug
	shares                      map[string]share  // of a Windows guest, by name
	guest                       *bridgetest.Guest // nil: a Linux one
	mute                        func()            // ends what the guest does
	exit                        string
	busy                        chan struct{} // held by the one change under way
}

// plug is an interface in its slot.
type plug struct {
	slot int
	tap  string
}

// document is the part of a ComputeSystem that matters here; its form has been checked by the schema.
type document struct {
	Owner                             string
	SchemaVersion                     *struct{ Major, Minor uint32 }
	ShouldTerminateOnLastHandleClosed bool
	VirtualMachine                    *struct {
		StopOnReset bool
		Chipset     struct {
			LinuxKernelDirect *struct{ KernelFilePath, InitRdPath, KernelCmdLine string }
			Uefi              *struct {
				BootThis *struct{ DeviceType, DevicePath string }
			}
		}
		ComputeTopology struct {
			Memory struct {
				SizeInMB                              uint64
				AllowOvercommit, EnableDeferredCommit bool
			}
			Processor struct {
				Count uint32
				Limit uint64
			}
		}
		Devices struct {
			Scsi            map[string]struct{ Attachments map[string]attachment }
			NetworkAdapters map[string]adapter
			VirtualSmb      *struct{ Shares []share }
			HvSocket        *struct {
				HvSocketConfig struct {
					DefaultBindSecurityDescriptor, DefaultConnectSecurityDescriptor string
					ServiceTable                                                    map[string]struct {
						BindSecurityDescriptor, ConnectSecurityDescriptor string
						Disabled                                          bool
					}
				}
			}
		}
	}
}

type attachment struct {
	Type, Path string
	ReadOnly   bool
}

type adapter struct{ EndpointId, MacAddress string }

// createSystem checks the document, and makes the system when the operation is waited for.
func (s *Server) createSystem(session, id, text, number string) (result, string) {
	if err := s.schema.Check("ComputeSystem", []byte(text)); err != nil {
		return invalidJSON, err.Error()
	}
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return invalidJSON, err.Error()
	}
	if bad := s.checkDocument(id, &d); bad != nil {
		return bad.code, bad.document()
	}
	s.mu.Lock()
	if s.systems[id] != nil {
		s.mu.Unlock()
		return systemExists, ""
	}
	sys := &system{
		id: id, runtimeID: uuid.NewString(), owner: d.Owner, state: created, document: d, memoryMB: d.VirtualMachine.ComputeTopology.Memory.SizeInMB,
		shares: map[string]share{}, disks: map[string]string{}, nics: map[string]plug{}, busy: make(chan struct{}, 1),
	}
	s.systems[id] = sys
	n := s.hold(session, sys)
	s.mu.Unlock()
	code, why := s.begin(number, "HcsCreateComputeSystem", func(context.Context) (string, *refusal) { return "", nil })
	if code != ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closeHandle(n)
		return code, why
	}
	return ok, strconv.FormatUint(n, 10)
}

// hold is called with mu held.
func (s *Server) hold(session string, sys *system) uint64 {
	s.next++
	s.handles[s.next] = &handle{session: session, system: sys}
	return s.next
}

// checkDocument refuses what the schema allows and the service does not.
func (s *Server) checkDocument(id string, d *document) *refusal {
	v := d.VirtualMachine
	switch {
	case id == "" || d.Owner == "" || v == nil:
		return refuse(invalidArgument, "a system has an id, an owner and a virtual machine")
	case d.SchemaVersion == nil || d.SchemaVersion.Major != 2 || d.SchemaVersion.Minor < 1 || d.SchemaVersion.Minor > 5:
		return refuse(invalidArgument, "unknown schema version")
	case (v.Chipset.LinuxKernelDirect == nil) == (v.Chipset.Uefi == nil):
		return refuse(unknownMessage, "the stand-in boots a Linux kernel, or a Windows image by firmware")
	case v.Chipset.Uefi != nil && (v.Chipset.Uefi.BootThis == nil || v.Chipset.Uefi.BootThis.DeviceType != "VmbFs"):
		return refuse(invalidArgument, "the stand-in's firmware boots from a share only")
	case v.ComputeTopology.Memory.SizeInMB == 0 || v.ComputeTopology.Memory.SizeInMB%2 != 0:
		return refuse(invalidArgument, "memory of %d MB is not an even number", v.ComputeTopology.Memory.SizeInMB)
	case v.ComputeTopology.Memory.EnableDeferredCommit && !v.ComputeTopology.Memory.AllowOvercommit:
		return refuse(invalidArgument, "deferred commit needs overcommit")
	case v.ComputeTopology.Processor.Count == 0 || v.ComputeTopology.Processor.Limit > 100_000:
		return refuse(invalidArgument, "processors: count %d, limit %d", v.ComputeTopology.Processor.Count, v.ComputeTopology.Processor.Limit)
	}
	for key := range v.Devices.Scsi {
		if !slices.Contains(guest.HyperVControllers[:], key) {
			return refuse(invalidArgument, "the guest knows no SCSI controller %q", key)
		}
	}
	for key := range v.Devices.NetworkAdapters {
		if uuid.Validate(key) != nil {
			return refuse(invalidArgument, "network adapter %q is no GUID", key)
		}
	}
	if v.Devices.HvSocket != nil {
		for key := range v.Devices.HvSocket.HvSocketConfig.ServiceTable {
			if uuid.Validate(key) != nil {
				return refuse(invalidArgument, "socket service %q is no GUID", key)
			}
		}
	}
	return nil
}

func (s *Server) openSystem(session, id string) (result, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sys := s.systems[id]
	if sys == nil {
		return systemNotFound, ""
	}
	return ok, strconv.FormatUint(s.hold(session, sys), 10)
}

func (s *Server) enumerate(query, number string) (result, string) {
	var q struct{ Owners []string }
	if err := json.Unmarshal([]byte(query), &q); err != nil {
		return invalidJSON, err.Error()
	}
	return s.begin(number, "HcsEnumerateComputeSystems", func(context.Context) (string, *refusal) {
		s.mu.Lock()
		defer s.mu.Unlock()
		all := []map[string]any{}
		for _, sys := range s.systems {
			if len(q.Owners) == 0 || slices.Contains(q.Owners, sys.owner) {
				all = append(all, map[string]any{"Id": sys.id, "Owner": sys.owner, "SystemType": "VirtualMachine", "State": sys.state, "RuntimeId": sys.runtimeID})
			}
		}
		b, _ := json.Marshal(all)
		return string(b), nil
	})
}

func (s *Server) grant(id, path string) (result, string) {
	file, err := HostPath(s.prefix, path)
	if err != nil {
		return invalidArgument, err.Error()
	}
	if _, err := os.Stat(file); err != nil {
		return fileNotFound, err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grants[file] == nil {
		s.grants[file] = map[string]bool{}
	}
	s.grants[file][id] = true
	return ok, ""
}

func (s *Server) revoke(id, path string) (result, string) {
	file, err := HostPath(s.prefix, path)
	if err != nil {
		return invalidArgument, err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, statErr := os.Stat(file)
	delete(s.grants[file], id)
	if len(s.grants[file]) == 0 {
		delete(s.grants, file)
	}
	if statErr != nil {
		return fileNotFound, statErr.Error() // its access list went with it
	}
	return ok, ""
}

// openable is where a file is that a system may open.
func (s *Server) openable(sys *system, path string) (string, *refusal) {
	file, err := HostPath(s.prefix, path)
	if err != nil {
		return "", refuse(invalidArgument, "%v", err)
	}
	if _, err := os.Stat(file); err != nil {
		return "", refuse(fileNotFound, "%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.grants[file][sys.id] {
		return "", refuse(accessDenied, "%s has not been given access to %s", sys.id, path)
	}
	return file, nil
}

// onSystem is a call (handle, operation, document).
func (s *Server) onSystem(function, number, op, text string) (result, string) {
	n, _ := strconv.ParseUint(number, 10, 64)
	s.mu.Lock()
	h := s.handles[n]
	s.mu.Unlock()
	if h == nil {
		return invalidHandle, ""
	}
	sys := h.system
	work := map[string]func(context.Context, *system, string) (string, *refusal){
		"HcsStartComputeSystem": s.start, "HcsTerminateComputeSystem": s.terminate, "HcsShutDownComputeSystem": s.shutDown,
		"HcsModifyComputeSystem": s.modify, "HcsGetComputeSystemProperties": s.properties,
		"HcsPauseComputeSystem": s.pause, "HcsResumeComputeSystem": s.resume, "HcsSaveComputeSystem": s.save,
	}[function]
	if work == nil {
		return invalidArgument, "unknown function"
	}
	return s.begin(op, function, func(ctx context.Context) (string, *refusal) { return work(ctx, sys, text) })
}

// in refuses a system in another state than these.
func (s *Server) in(sys *system, states ...string) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case slices.Contains(states, sys.state):
		return nil
	case sys.state == stopped:
		return refuse(systemStopped, "the system has stopped")
	}
	return refuse(invalidState, "the system is %s", sys.state)
}

func (s *Server) start(_ context.Context, sys *system, options string) (string, *refusal) {
	if options != "" {
		return "", refuse(invalidJSON, "options are not known")
	}
	if bad := s.in(sys, created); bad != nil {
		return "", bad
	}
	v := sys.document.VirtualMachine
	if v.Chipset.Uefi != nil {
		return "", s.startWindows(sys)
	}
	kernel, bad := s.openable(sys, v.Chipset.LinuxKernelDirect.KernelFilePath)
	if bad != nil {
		return "", bad
	}
	initrd, bad := s.openable(sys, v.Chipset.LinuxKernelDirect.InitRdPath)
	if bad != nil {
		return "", bad
	}
	m, err := startMachine(boot{
		kernel: kernel, initrd: initrd, args: v.Chipset.LinuxKernelDirect.KernelCmdLine,
		memoryMB: v.ComputeTopology.Memory.SizeInMB, processors: v.ComputeTopology.Processor.Count,
	}, func(m *machine) { s.ended(sys, m) })
	if err != nil {
		return "", refuse(unspecified, "%v", err)
	}
	s.mu.Lock()
	sys.machine, sys.state = m, running
	s.mu.Unlock()
	return "", s.addDevices(sys)
}

// addDevices attaches what a system's document has.
func (s *Server) addDevices(sys *system) *refusal {
	v := sys.document.VirtualMachine
	for controller, c := range v.Devices.Scsi {
		for lun, a := range c.Attachments {
			if bad := s.addDisk(sys, controller, lun, a); bad != nil {
				return bad
			}
		}
	}
	for id, a := range v.Devices.NetworkAdapters {
		if bad := s.addNIC(sys, id, a); bad != nil {
			return bad
		}
	}
	return nil
}

// ended tells the holders how.
func (s *Server) ended(sys *system, m *machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	exitType, worker := "UnexpectedExit", map[string]any{"ExitCode": 0, "Type": "UnexpectedStop", "Detail": "ProcessUnexpectedExit", "Initiator": "None"}
	switch {
	case sys.terminated:
		exitType, worker = "ForcedExit", map[string]any{"ExitCode": 0, "Type": "Stopped", "Detail": "VidTerminate", "Initiator": "Client"}
	case sys.saved:
		exitType, worker = "GracefulExit", map[string]any{"ExitCode": 0, "Type": "Saved", "Detail": "Save", "Initiator": "Client"}
	case m.how == poweredOff:
		exitType, worker = "GracefulExit", map[string]any{"ExitCode": 0, "Type": "Stopped", "Detail": "PowerOff", "Initiator": "GuestOS"}
	case m.how == reset || m.how == panicked:
		worker = map[string]any{"ExitCode": 0, "Type": "StoppedOnReset", "Detail": "Reset", "Initiator": "GuestOS"}
	}
	b, _ := json.Marshal(map[string]any{"Status": 0, "ExitType": exitType, "Attribution": []any{map[string]any{"WorkerExit": worker}}})
	sys.state, sys.exit = stopped, exitType
	if exitType == "UnexpectedExit" {
		s.logf("%s ended (%q); last on its console: %s", sys.id, m.how, m.console)
	}
	for _, p := range sys.nics {
		removeLink(p.tap)
	}
	s.notify(sys, event{1, string(b)})
	s.forget(sys)
}

func (s *Server) terminate(_ context.Context, sys *system, _ string) (string, *refusal) {
	s.mu.Lock()
	if sys.state == created {
		sys.state, sys.exit = stopped, "ForcedExit"
		s.notify(sys, event{1, `{"Status":0,"ExitType":"ForcedExit"}`})
		s.mu.Unlock()
		return "", nil
	}
	s.mu.Unlock()
	if bad := s.in(sys, running, paused); bad != nil {
		return "", bad
	}
	s.mu.Lock()
	sys.terminated = true
	s.mu.Unlock()
	_ = sys.machine.cmd.Process.Kill()
	<-sys.machine.ended
	return "", nil
}

func (s *Server) shutDown(_ context.Context, sys *system, _ string) (string, *refusal) {
	if bad := s.in(sys, running); bad != nil {
		return "", bad
	}
	// A Linux guest without a guest connection has nothing that listens to it.
	return "", refuse(unknownMessage, "the guest has no connection to the service")
}

func (s *Server) pause(_ context.Context, sys *system, options string) (string, *refusal) {
	if options != "" {
		if err := s.schema.Check("PauseOptions", []byte(options)); err != nil {
			return "", refuse(invalidJSON, "%v", err)
		}
	}
	return s.turn(sys, running, paused, "stop")
}

func (s *Server) resume(_ context.Context, sys *system, _ string) (string, *refusal) {
	return s.turn(sys, paused, running, "cont")
}

func (s *Server) turn(sys *system, from, to, command string) (string, *refusal) {
	if bad := s.in(sys, from); bad != nil {
		return "", bad
	}
	if err := sys.machine.do(command, nil, nil); err != nil {
		return "", refuse(unspecified, "%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sys.state = to
	return "", nil
}

// save writes the machine to a file and ends it.
func (s *Server) save(_ context.Context, sys *system, options string) (string, *refusal) {
	if err := s.schema.Check("SaveOptions", []byte(options)); err != nil {
		return "", refuse(invalidJSON, "%v", err)
	}
	var o struct{ SaveType, SaveStateFilePath string }
	_ = json.Unmarshal([]byte(options), &o)
	if o.SaveType != "ToFile" {
		return "", refuse(invalidArgument, "save type %q", o.SaveType)
	}
	if bad := s.in(sys, paused); bad != nil {
		return "", bad
	}
	file, err := HostPath(s.prefix, o.SaveStateFilePath)
	if err != nil {
		return "", refuse(invalidArgument, "%v", err)
	}
	if err := sys.machine.do("migrate", arguments{"uri": "exec:cat > '" + file + "'"}, nil); err != nil {
		return "", refuse(unspecified, "%v", err)
	}
	for {
		var m struct{ Status string }
		if err := sys.machine.do("query-migrate", nil, &m); err != nil || m.Status == "failed" {
			return "", refuse(unspecified, "%v %s", err, m.Status)
		}
		if m.Status == "completed" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.mu.Lock()
	sys.saved = true
	s.mu.Unlock()
	_ = sys.machine.cmd.Process.Kill()
	<-sys.machine.ended
	return "", nil
}

func (s *Server) properties(_ context.Context, sys *system, query string) (string, *refusal) {
	var q struct{ PropertyTypes []string }
	if query != "" {
		if err := s.schema.Check("PropertyQuery", []byte(query)); err != nil {
			return "", refuse(invalidJSON, "%v", err)
		}
		_ = json.Unmarshal([]byte(query), &q)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := map[string]any{"Id": sys.id, "SystemType": "VirtualMachine", "RuntimeOsType": osType(sys), "Owner": sys.owner, "RuntimeId": sys.runtimeID, "State": sys.state}
	if sys.state == stopped {
		p["Stopped"], p["ExitType"] = true, sys.exit
	}
	for _, t := range q.PropertyTypes {
		switch {
		case sys.machine == nil:
		case t == "Statistics":
			p["Statistics"] = map[string]any{"Timestamp": time.Now().UTC().Format(time.RFC3339Nano), "Processor": map[string]any{"TotalRuntime100ns": sys.machine.processorTime()}}
		case t == "Memory":
			p["Memory"] = map[string]any{"VirtualMachineMemory": map[string]any{"AssignedMemory": sys.memoryMB << 20 / 4096}}
		}
	}
	b, _ := json.Marshal(p)
	if err := s.schema.Check("Properties", b); err != nil {
		return "", refuse(unspecified, "the stand-in's answer: %v", err)
	}
	return string(b), nil
}

func isDisk(file string) bool { return formats[strings.ToLower(filepath.Ext(file))] != "" }
