package hns

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/Microsoft/hcsshim/hcn"

	"github.com/paddock-run/paddock/network"
)

// isGone tells that what was looked for does not exist (any more).
func isGone(err error) bool { return hcn.IsNotFoundError(err) }

// removeNamespace deletes a namespace and the endpoints that plugins left in it.
func removeNamespace(id string) error {
	if id == "" {
		return nil
	}
	ns, err := hcn.GetNamespaceByID(id)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("HCN namespace %s: %w", id, err)
	}
	endpoints, err := endpointIDs(ns)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		if err := hcn.RemoveNamespaceEndpoint(id, e); err != nil && !isGone(err) {
			return fmt.Errorf("take endpoint %s out of HCN namespace %s: %w", e, id, err)
		}
		if err := removeEndpoint(e); err != nil {
			return err
		}
	}
	if err := ns.Delete(); err != nil && !isGone(err) {
		return fmt.Errorf("delete HCN namespace %s: %w", id, err)
	}
	return nil
}

func removeEndpoint(id string) error {
	e, err := hcn.GetEndpointByID(id)
	if err == nil {
		err = e.Delete()
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("delete HCN endpoint %s: %w", id, err)
	}
	return nil
}

// removeNamed deletes the endpoints that are named after a sandbox, as win-bridge and
// win-overlay do (ConstructEndpointName in pkg/hns of containernetworking/plugins): one
// whose ADD failed on the way is in no namespace.
func removeNamed(sandboxID string) error {
	all, err := hcn.ListEndpoints()
	if err != nil {
		return fmt.Errorf("list HCN endpoints: %w", err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name, sandboxID+"_") {
			if err := removeEndpoint(e.Id); err != nil {
				return err
			}
		}
	}
	return nil
}

func endpointIDs(ns *hcn.HostComputeNamespace) ([]string, error) {
	var ids []string
	for _, r := range ns.Resources {
		if r.Type != hcn.NamespaceResourceTypeEndpoint {
			continue
		}
		var e hcn.NamespaceResourceEndpoint
		if err := json.Unmarshal(r.Data, &e); err != nil {
			return nil, fmt.Errorf("HCN namespace %s: %w", ns.Id, err)
		}
		ids = append(ids, e.Id)
	}
	return ids, nil
}

// endpointsOf are what plugins added to a namespace.
func endpointsOf(namespace string) ([]endpoint, error) {
	ns, err := hcn.GetNamespaceByID(namespace)
	if err != nil {
		return nil, fmt.Errorf("HCN namespace %s: %w", namespace, err)
	}
	ids, err := endpointIDs(ns)
	if err != nil {
		return nil, err
	}
	var all []endpoint
	for _, id := range ids {
		e, err := hcn.GetEndpointByID(id)
		if err != nil {
			return nil, fmt.Errorf("HCN endpoint %s: %w", id, err)
		}
		all = append(all, described(e))
	}
	return all, nil
}

func described(e *hcn.HostComputeEndpoint) endpoint {
	out := endpoint{ID: e.Id, Name: e.Name, MAC: e.MacAddress, DNS: network.DNS{Servers: e.Dns.ServerList, Searches: e.Dns.Search, Options: e.Dns.Options}}
	if e.Dns.Domain != "" {
		out.DNS.Searches = append([]string{e.Dns.Domain}, out.DNS.Searches...)
	}
	for _, a := range e.IpConfigurations {
		out.Addresses = append(out.Addresses, fmt.Sprintf("%s/%d", a.IpAddress, a.PrefixLength))
	}
	for _, r := range e.Routes {
		out.Routes = append(out.Routes, route{NextHop: r.NextHop, Destination: r.DestinationPrefix})
	}
	for _, p := range e.Policies {
		var overhead hcn.EncapOverheadEndpointPolicySetting
		if p.Type == hcn.EncapOverhead && json.Unmarshal(p.Settings, &overhead) == nil {
			out.Overhead = int(overhead.Overhead)
		}
	}
	return out
}

// GuestDocuments are an endpoint's document and that of the namespace that it is in,
// for a guest that is to have them.
func GuestDocuments(id string) (namespace *hcn.HostComputeNamespace, endpoint *hcn.HostComputeEndpoint, err error) {
	endpoint, err = hcn.GetEndpointByID(id)
	if err != nil {
		return nil, nil, fmt.Errorf("HCN endpoint %s: %w", id, err)
	}
	namespace, err = hcn.GetNamespaceByID(endpoint.HostComputeNamespace)
	if err != nil {
		return nil, nil, fmt.Errorf("HCN namespace %s of endpoint %s: %w", endpoint.HostComputeNamespace, id, err)
	}
	return namespace, endpoint, nil
}

// EndpointMAC is an endpoint's hardware address.
func EndpointMAC(id string) (net.HardwareAddr, error) {
	e, err := hcn.GetEndpointByID(id)
	if err != nil {
		return nil, fmt.Errorf("HCN endpoint %s: %w", id, err)
	}
	mac, err := net.ParseMAC(strings.ReplaceAll(e.MacAddress, "-", ":"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("HCN endpoint %s", id), err)
	}
	return mac, nil
}
