// Package bridgetest plays the guest service of a Windows VM, for tests: it speaks the
// protocol of package bridge from the other side, with code of its own, and refuses
// what Microsoft's service would have no use for: another order, layers on a disk that
// is not mounted, containers on layers that are not combined, documents that do not
// fit the schema. Its processes are a few commands that it knows (see program).
//
// It is no proof of what Microsoft's does: e2e/bridge is, as far as Linux guests go.
package bridgetest
