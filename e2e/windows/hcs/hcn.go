package hcs

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/vishvananda/netlink"
)

// Results of the Host Compute Network.
const (
	networkNotFound    result = 0x803B0001
	endpointNotFound   result = 0x803B0002
	namespaceNotFound  result = 0x80070490
	alreadyAttached    result = 0x803B0014
	invalidNetworkJSON result = 0x803B001B
)

// object is a network, an endpoint or a namespace: its properties, as they are queried.
type object map[string]any

func (o object) id() string { s, _ := o["ID"].(string); return s }

// hcn is the stand-in of the Host Compute Network. A network is a bridge of this
// machine's network namespace, with the gateway's address; an endpoint is a place on it.
type hcn struct {
	s       *Server
	schema  *Schema
	objects map[string]map[string]object // by kind and id
	handles map[uint64]object
	kinds   map[uint64]string
	next    uint64
	macs    byte
}

// kindsOfObjects are the types of their settings, by kind.
var kindsOfObjects = map[string]string{"Network": "HostComputeNetwork", "Endpoint": "HostComputeEndpoint", "Namespace": "HostComputeNamespace"}

// ServeNetworks adds the Host Compute Network to the service.
func (s *Server) ServeNetworks() error {
	schema, err := loadSchema("hcn")
	if err != nil {
		return err
	}
	h := &hcn{s: s, schema: schema, objects: map[string]map[string]object{}, handles: map[uint64]object{}, kinds: map[uint64]string{}}
	for kind := range kindsOfObjects {
		h.objects[kind] = map[string]object{}
		h.handle("HcnEnumerate"+kind+"s", kind, h.enumerate)
		h.handle("HcnCreate"+kind, kind, h.create)
		h.handle("HcnOpen"+kind, kind, h.open)
		h.handle("HcnModify"+kind, kind, h.modify)
		h.handle("HcnQuery"+kind+"Properties", kind, h.query)
		h.handle("HcnDelete"+kind, kind, h.delete)
		h.handle("HcnClose"+kind, kind, h.close)
	}
	s.networks = h
	s.Endpoints = h.find
	return nil
}

// handle serves a function under the server's lock, with faults and a log of refusals.
func (h *hcn) handle(function, kind string, f func(kind string, args []string) (string, *refusal)) {
	h.s.handlers[function] = func(_ string, args []string) (result, string) {
		if code := h.s.injected(function); code != ok {
			return code, ""
		}
		h.s.mu.Lock()
		text, bad := f(kind, args)
		h.s.mu.Unlock()
		if bad != nil {
			h.s.logf("%s%q: %v", function, args, bad)
			return bad.code, bad.document()
		}
		if code := h.s.injected(function + ":result"); code != ok {
			return code, ""
		}
		return ok, text
	}
}

// find is an endpoint for the compute service; it takes no lock of its own.
func (h *hcn) find(id string) (bridge, mac string, found bool) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	e := h.objects["Endpoint"][id]
	if e == nil {
		return "", "", false
	}
	mac, _ = e["MacAddress"].(string)
	return bridgeName(fmt.Sprint(e["HostComputeNetwork"])), mac, true
}

func bridgeName(network string) string { return "hcn" + network[:8] }

func (h *hcn) left() []string {
	var left []string
	for _, kind := range []string{"Endpoint", "Namespace"} {
		for id := range h.objects[kind] {
			left = append(left, strings.ToLower(kind)+" "+id)
		}
	}
	return left
}

func missing(kind string) result {
	return map[string]result{"Network": networkNotFound, "Endpoint": endpointNotFound, "Namespace": namespaceNotFound}[kind]
}

func (h *hcn) hold(kind string, o object) string {
	h.next++
	h.handles[h.next], h.kinds[h.next] = o, kind
	return strconv.FormatUint(h.next, 10)
}

func (h *hcn) held(kind, number string) (object, *refusal) {
	n, _ := strconv.ParseUint(number, 10, 64)
	if h.handles[n] == nil || h.kinds[n] != kind {
		return nil, refuse(invalidHandle, "no %s handle %s", kind, number)
	}
	return h.handles[n], nil
}

func (h *hcn) enumerate(kind string, args []string) (string, *refusal) {
	var q struct {
		Filter string
	}
	if err := json.Unmarshal([]byte(args[0]), &q); err != nil {
		return "", refuse(invalidNetworkJSON, "query: %v", err)
	}
	filter := map[string]any{}
	if q.Filter != "" {
		if err := json.Unmarshal([]byte(q.Filter), &filter); err != nil {
			return "", refuse(invalidNetworkJSON, "filter: %v", err)
		}
	}
	ids := []string{}
	for id, o := range h.objects[kind] {
		matches := true
		for k, v := range filter {
			matches = matches && strings.EqualFold(fmt.Sprint(o[k]), fmt.Sprint(v))
		}
		if matches {
			ids = append(ids, id)
		}
	}
	b, _ := json.Marshal(ids)
	return string(b), nil
}

// create has arguments parent, GUID (zero: to be made up), settings.
func (h *hcn) create(kind string, args []string) (string, *refusal) {
	if err := h.schema.Check(kindsOfObjects[kind], []byte(args[2])); err != nil {
		return "", refuse(invalidNetworkJSON, "%v", err)
	}
	o := object{}
	_ = json.Unmarshal([]byte(args[2]), &o)
	id := args[1]
	if id == uuid.Nil.String() {
		id = uuid.NewString()
	}
	if h.objects[kind][id] != nil {
		return "", refuse(alreadyAttached, "%s %s exists", kind, id)
	}
	o["ID"] = id
	var bad *refusal
	switch kind {
	case "Network":
		bad = makeBridge(o)
	case "Endpoint":
		parent, refused := h.held("Network", args[0])
		if refused != nil {
			return "", refused
		}
		bad = h.place(o, parent)
	case "Namespace":
		o["Resources"] = []any{}
	}
	if bad != nil {
		return "", bad
	}
	h.objects[kind][id] = o
	return h.hold(kind, o), nil
}

// subnet is the first one of a network, and its gateway.
func subnet(network object) (netip.Prefix, string) {
	b, _ := json.Marshal(network)
	var n struct {
		Ipams []struct {
			Subnets []struct {
				IpAddressPrefix string
				Routes          []struct{ NextHop string }
			}
		}
	}
	_ = json.Unmarshal(b, &n)
	if len(n.Ipams) == 0 || len(n.Ipams[0].Subnets) == 0 || len(n.Ipams[0].Subnets[0].Routes) == 0 {
		return netip.Prefix{}, ""
	}
	p, _ := netip.ParsePrefix(n.Ipams[0].Subnets[0].IpAddressPrefix)
	return p, n.Ipams[0].Subnets[0].Routes[0].NextHop
}

func makeBridge(network object) *refusal {
	prefix, gateway := subnet(network)
	address, err := netlink.ParseAddr(fmt.Sprintf("%s/%d", gateway, prefix.Bits()))
	if !prefix.IsValid() || err != nil {
		return refuse(invalidArgument, "the network has no subnet with a route")
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName(network.id())}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return refuse(unspecified, "%v", err)
	}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return refuse(unspecified, "%v", err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return refuse(unspecified, "%v", err)
	}
	return nil
}

// place completes an endpoint as the real service does: address length and hardware address.
func (h *hcn) place(e, network object) *refusal {
	if e["HostComputeNamespace"] != nil {
		return refuse(invalidArgument, "HostComputeNamespace is read-only")
	}
	if !strings.EqualFold(fmt.Sprint(e["HostComputeNetwork"]), network.id()) {
		return refuse(invalidArgument, "the endpoint names another network")
	}
	prefix, _ := subnet(network)
	configs, _ := e["IpConfigurations"].([]any)
	if len(configs) == 0 {
		return refuse(invalidArgument, "the endpoint has no address")
	}
	for _, c := range configs {
		c := c.(map[string]any)
		address, err := netip.ParseAddr(fmt.Sprint(c["IpAddress"]))
		if err != nil || !prefix.Contains(address) {
			return refuse(invalidArgument, "address %v is not of the network's %v", c["IpAddress"], prefix)
		}
		c["PrefixLength"] = prefix.Bits()
	}
	mac, _ := e["MacAddress"].(string)
	if mac == "" {
		h.macs++
		mac = strings.ToUpper(strings.ReplaceAll(net.HardwareAddr{0, 0x15, 0x5d, 0, 0, h.macs}.String(), ":", "-"))
	}
	e["MacAddress"] = mac
	return nil
}

func (h *hcn) open(kind string, args []string) (string, *refusal) {
	o := h.objects[kind][args[0]]
	if o == nil {
		return "", refuse(missing(kind), "no %s %s", kind, args[0])
	}
	return h.hold(kind, o), nil
}

func (h *hcn) query(kind string, args []string) (string, *refusal) {
	o, bad := h.held(kind, args[0])
	if bad != nil {
		return "", bad
	}
	b, _ := json.Marshal(o)
	return string(b), nil
}

func (h *hcn) close(kind string, args []string) (string, *refusal) {
	if _, bad := h.held(kind, args[0]); bad != nil {
		return "", bad
	}
	n, _ := strconv.ParseUint(args[0], 10, 64)
	delete(h.handles, n)
	delete(h.kinds, n)
	return "", nil
}

// modify knows endpoints of namespaces only.
func (h *hcn) modify(kind string, args []string) (string, *refusal) {
	ns, bad := h.held(kind, args[0])
	if bad != nil {
		return "", bad
	}
	if kind != "Namespace" {
		return "", refuse(invalidArgument, "the stand-in modifies namespaces only")
	}
	if err := h.schema.Check("ModifyNamespaceSettingRequest", []byte(args[1])); err != nil {
		return "", refuse(invalidNetworkJSON, "%v", err)
	}
	var r struct {
		ResourceType, RequestType string
		Settings                  struct {
			ID string `json:"EndpointId"`
		}
	}
	if err := json.Unmarshal([]byte(args[1]), &r); err != nil || r.ResourceType != "Endpoint" {
		return "", refuse(invalidNetworkJSON, "%v %s", err, r.ResourceType)
	}
	e := h.objects["Endpoint"][strings.ToLower(r.Settings.ID)]
	if e == nil {
		return "", refuse(endpointNotFound, "no endpoint %q", r.Settings.ID)
	}
	in := e["HostComputeNamespace"]
	switch {
	case r.RequestType == "Add" && in != nil && in != ns.id():
		return "", refuse(alreadyAttached, "the endpoint is in namespace %v", in)
	case r.RequestType == "Add":
		e["HostComputeNamespace"] = ns.id()
	case r.RequestType == "Remove" && in != ns.id():
		return "", refuse(endpointNotFound, "the endpoint is not in the namespace")
	case r.RequestType == "Remove":
		delete(e, "HostComputeNamespace")
	default:
		return "", refuse(invalidArgument, "request %q", r.RequestType)
	}
	resources := []any{}
	for id, e := range h.objects["Endpoint"] {
		if e["HostComputeNamespace"] == ns.id() {
			resources = append(resources, map[string]any{"Type": "Endpoint", "Data": map[string]any{"ID": id}})
		}
	}
	ns["Resources"] = resources
	return "", nil
}

func (h *hcn) delete(kind string, args []string) (string, *refusal) {
	o := h.objects[kind][args[0]]
	if o == nil {
		return "", refuse(missing(kind), "no %s %s", kind, args[0])
	}
	switch kind {
	case "Endpoint":
		if ns := h.objects["Namespace"][fmt.Sprint(o["HostComputeNamespace"])]; ns != nil {
			return "", refuse(invalidArgument, "the endpoint is in a namespace")
		}
	case "Namespace":
		if resources, _ := ns(o); len(resources) > 0 {
			return "", refuse(invalidArgument, "the namespace has endpoints")
		}
	case "Network":
		removeLink(bridgeName(args[0]))
	}
	delete(h.objects[kind], args[0])
	return "", nil
}

func ns(o object) ([]any, bool) { r, found := o["Resources"].([]any); return r, found }

// MakeNetwork makes a network as a node's administrator would, for plugins to find by its name.
func (s *Server) MakeNetwork(name, prefix, gateway string) error {
	settings, err := json.Marshal(map[string]any{
		"Name": name, "Type": "L2Bridge",
		"Ipams": []any{map[string]any{"Type": "Static", "Subnets": []any{map[string]any{
			"IpAddressPrefix": prefix, "Routes": []any{map[string]any{"NextHop": gateway, "DestinationPrefix": "0.0.0.0/0"}},
		}}}},
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, bad := s.networks.create("Network", []string{"0", uuid.Nil.String(), string(settings)}); bad != nil {
		return bad
	}
	return nil
}
