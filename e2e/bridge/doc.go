// Package bridge runs podsandbox/vm/hyperv/bridge against a guest service that
// Microsoft wrote: the one for Linux of github.com/Microsoft/hcsshim v0.14.0, in a VM
// of its own with runc. Windows' own speaks the same protocol but runs nowhere here.
package bridge
