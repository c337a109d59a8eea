// Package windows runs Paddock's Windows build under Wine, against stand-ins for
// the system libraries of Hyper-V (dll, hcs) that boot real utility VMs.
package windows
