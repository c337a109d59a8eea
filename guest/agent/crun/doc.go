// Package crun runs the OCI runtime of the guest image. Only what needs the
// runtime's set-up of a process is asked of it (create, exec, update): signals,
// state and removal the agent does by itself, because under emulation every
// further fork and exec costs tens of milliseconds.
package crun
