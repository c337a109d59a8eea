package bridgetest

import (
	"encoding/json"
	"fmt"
	"strings"
)

type answer map[string]any

// Procedures, with their version.
const (
	create            = 0x00100101
	start             = 0x00100201
	shutdownGraceful  = 0x00100301
	shutdownForced    = 0x00100401
	executeProcess    = 0x00100501
	waitForProcess    = 0x00100601
	signalProcess     = 0x00100701
	resizeConsole     = 0x00100801
	getProperties     = 0x00100901
	modifySettings    = 0x00100a01
	negotiateProtocol = 0x00100b01
	deleteState       = 0x00100d01
)

// handle answers one request.
func (g *Guest) handle(procedure uint32, body []byte) (answer, *refusal) {
	var b base
	if bad := unmarshal(body, &b); bad != nil {
		return nil, bad
	}
	switch procedure {
	case negotiateProtocol:
		return g.negotiate(body)
	case create:
		return nil, g.create(b.ContainerID, body)
	case start:
		return nil, g.start(b.ContainerID)
	case shutdownGraceful, shutdownForced:
		return nil, g.shutdown(b.ContainerID)
	case executeProcess:
		return g.execute(b.ContainerID, body)
	case waitForProcess:
		return g.wait(b.ContainerID, body)
	case signalProcess:
		return nil, g.signal(b.ContainerID, body)
	case resizeConsole:
		return nil, g.resize(b.ContainerID, body)
	case getProperties:
		return g.properties(b.ContainerID, body)
	case modifySettings:
		return nil, g.modify(b.ContainerID, body)
	case deleteState:
		return nil, g.delete(b.ContainerID)
	}
	return nil, refuse(unknown, "procedure %#x", procedure)
}

// note keeps a request for tests, and refuses it if one of them wants that. Callers hold mu.
func (g *Guest) note(format string, args ...any) *refusal {
	request := fmt.Sprintf(format, args...)
	g.asked = append(g.asked, request)
	if request != g.refusing {
		return nil
	}
	g.refusing = ""
	return refuse(wrongState, "%s, as a test wants", request)
}

func (g *Guest) negotiate(body []byte) (answer, *refusal) {
	var r struct{ MinimumVersion, MaximumVersion uint32 }
	if bad := unmarshal(body, &r); bad != nil {
		return nil, bad
	}
	if r.MinimumVersion > 4 || r.MaximumVersion < 4 {
		return nil, refuse(invalid, "versions %d to %d", r.MinimumVersion, r.MaximumVersion)
	}
	return answer{"Version": 4, "Capabilities": map[string]any{
		"SendHostCreateMessage": true, "SendHostStartMessage": true, "HvSocketConfigOnStartup": true, "RuntimeOsType": "Windows",
		"SupportedSchemaVersions": []any{map[string]any{"Major": 2, "Minor": 1}},
		"GuestDefinedCapabilities": map[string]any{
			"NamespaceAddRequestSupported": true, "SignalProcessSupported": true, "DeleteContainerStateSupported": true,
		},
	}}, nil
}

func (g *Guest) create(id string, body []byte) *refusal {
	var r struct{ ContainerConfig string }
	if bad := unmarshal(body, &r); bad != nil {
		return bad
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if bad := g.note("Create %s", id); bad != nil {
		return bad
	}
	if id == nullID {
		return g.createHost(r.ContainerConfig)
	}
	if c := g.containers[id]; c != nil {
		return refuse(exists, "container %s", id)
	}
	if g.cfg.Check != nil {
		if err := g.cfg.Check("HostedSystem", []byte(r.ContainerConfig)); err != nil {
			return refuse(invalidJSON, "%v", err)
		}
	}
	c, bad := g.document(r.ContainerConfig)
	if bad == nil {
		g.containers[id] = c
	}
	return bad
}

// createHost is the first Create: of the VM itself.
func (g *Guest) createHost(text string) *refusal {
	var host struct {
		SystemType          string
		TimeZoneInformation json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &host); err != nil || host.SystemType != "Container" {
		return refuse(invalidJSON, "%q: %v", text, err)
	}
	if len(host.TimeZoneInformation) > 0 && g.cfg.Check != nil {
		if err := g.cfg.Check("TimeZoneInformation", host.TimeZoneInformation); err != nil {
			return refuse(invalidJSON, "%v", err)
		}
	}
	return nil
}

// document checks what a container is made of. Callers hold mu.
func (g *Guest) document(text string) (*container, *refusal) {
	var d struct {
		SchemaVersion struct{ Major, Minor uint32 }
		Container     struct {
			Storage struct {
				Path   string
				Layers []struct {
					ID   string `json:"Id"`
					Path string
				}
			}
			MappedDirectories []struct{ HostPath, ContainerPath string }
			Networking        *struct{ Namespace string }
		}
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, refuse(invalidJSON, "%v", err)
	}
	c := d.Container
	switch {
	case d.SchemaVersion.Major != 2:
		return nil, refuse(invalid, "schema version %+v", d.SchemaVersion)
	case !g.combined[c.Storage.Path]:
		return nil, refuse(fileNotFound, "no layers are combined at %q", c.Storage.Path)
	case len(c.Storage.Layers) == 0:
		return nil, refuse(invalid, "no layers")
	case c.Networking != nil && !g.namespaces[strings.ToLower(c.Networking.Namespace)]:
		return nil, refuse(notFound, "no namespace %q", c.Networking.Namespace)
	}
	for _, m := range c.MappedDirectories {
		if bad := g.path(m.HostPath); bad != nil {
			return nil, bad
		}
		if len(m.ContainerPath) < 3 || m.ContainerPath[1:3] != `:\` || strings.Contains(m.ContainerPath, "/") {
			return nil, refuse(invalid, "a directory mapped to %q", m.ContainerPath)
		}
	}
	return &container{document: json.RawMessage(text), root: c.Storage.Path, processes: map[uint32]*process{}}, nil
}

// path tells whether there is something at a path. Callers hold mu.
func (g *Guest) path(path string) *refusal {
	if g.folders[path] || g.cfg.Path == nil {
		return nil
	}
	if err := g.cfg.Path(path); err != nil {
		return refuse(fileNotFound, "%s: %v", path, err)
	}
	return nil
}

// container finds a live one. Callers hold mu.
func (g *Guest) container(id string) (*container, *refusal) {
	if c := g.containers[id]; c != nil && !c.ended {
		return c, nil
	}
	return nil, refuse(noSystem, "container %s", id)
}

func (g *Guest) start(id string) *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if bad := g.note("Start %s", id); bad != nil {
		return bad
	}
	c, bad := g.container(id)
	switch {
	case bad != nil:
		return bad
	case id == nullID:
		return nil
	case c.started:
		return refuse(wrongState, "container %s was started", id)
	}
	c.started = true
	return nil
}

func (g *Guest) shutdown(id string) *refusal {
	g.mu.Lock()
	c, bad := g.container(id)
	if bad != nil {
		g.mu.Unlock()
		return bad
	}
	g.note("Shutdown %s", id)
	c.ended = true
	for _, p := range c.processes {
		p.end(killedCode)
	}
	notify := g.notify
	g.mu.Unlock()
	if notify != nil {
		notify(id)
	}
	return nil
}

func (g *Guest) delete(id string) *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note("Delete %s", id)
	c := g.containers[id]
	switch {
	case c == nil:
		return refuse(noSystem, "container %s", id)
	case !c.ended:
		return refuse(wrongState, "container %s runs", id)
	}
	delete(g.containers, id)
	return nil
}
