// Package ocispec makes the OCI runtime specification of a Linux container
// from what CRI and the image say of it.
//
// The specification is for a runtime inside a utility VM: the agent there
// fills in the root, the user, the namespaces and the mounts of volumes.
package ocispec
