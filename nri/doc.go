// Package nri lets plugins of the Node Resource Interface hear of pods and
// containers, and change what they may (github.com/containerd/nri). It
// implements podsandbox.Hooks; docs/nri.md says what of a plugin's adjustments
// a pod in a VM can have.
//
// # No event is missed, none comes twice
//
// The Adapter keeps a ledger of what plugins have been told. A plugin that
// joins is told the ledger, not the pods as they are at that moment: what it
// is told next follows from what it was told first.
//
//	hook:          sync block (shared) ──▶ mu: ledger, then plugins ──▶ unlock ──▶ changes to other containers
//	plugin joins:  sync block (alone)  ──▶ mu: tell the ledger ──▶ unlock ──▶ its changes; on the list of plugins
//
// Neither is held while a pod or a container is made, so that no guest can
// keep a plugin from joining, or a joining plugin other pods from being made.
//
// Locks, in the order they may be taken: podsandbox's op locks, the sync
// block, Adapter.mu. Changes that plugins ask for take podsandbox's limits lock
// only, and no lock of this package is held meanwhile: a plugin may ask for them at any time.
package nri
