// Package netconf gives a utility VM the pod's network through netlink:
// interfaces found by hardware address, their names, MTU, addresses and routes.
package netconf
