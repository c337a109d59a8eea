// Package conformance runs the Kubernetes project's CRI validation suite
// (critest, unmodified, from its Go module) against a daemon of its own. The
// images that the suite names are built here, and served under their own names
// through registry mirrors.
package conformance
