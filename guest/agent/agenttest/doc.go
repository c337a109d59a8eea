// Package agenttest runs the guest image in a real utility VM under QEMU's
// emulator, without the layers above, and drives the agent through
// guest/client. Its tests are the agent's; Boot serves benchmarks too.
package agenttest
