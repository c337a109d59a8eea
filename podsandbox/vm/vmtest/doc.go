// Package vmtest tests implementations of package vm.
//
// TestHost is the conformance suite: the contract of vm.Host and vm.VM as
// cases that every implementation passes. Fake is a vm.Host whose guests are
// Go code in this process, for tests of what stands on a vm.Host; it passes the
// same suite.
package vmtest
