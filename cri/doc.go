// Package cri serves the Container Runtime Interface, version v1, over gRPC.
//
// Every RPC has a file of its own name: sandbox_run.go holds RunPodSandbox,
// container_list.go holds ListContainers and StreamContainers, and so on. A call takes this way:
//
//	gRPC ──▶ interceptors.go   recover from panics, log, map errors to codes
//	     ──▶ sandbox_run.go    the RPC
//	          ├─ validate_*.go   refuse what can never work, before anything is touched
//	          ├─ translate_*.go  CRI's messages to our types, and back
//	          └─ podsandbox.Runtime or imageservice.Service
//
// Exec, Attach and PortForward answer with a URL; streaming*.go serve it on a
// port of the node's loopback, for kubelet to connect to.
//
// The package decides nothing by the operating system of the process: a pod's
// OS follows from its runtime handler, an image's from the handler the request names.
package cri
