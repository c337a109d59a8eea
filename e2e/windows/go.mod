module github.com/paddock-run/paddock/e2e/windows

go 1.26.8

require (
	github.com/Microsoft/hcsshim v0.15.0
	github.com/google/uuid v1.6.0
	github.com/paddock-run/paddock v0.0.0
	github.com/vishvananda/netlink v1.3.1
)

require (
	github.com/Microsoft/go-winio v0.6.4 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/mdlayher/socket v0.8.0 // indirect
	github.com/mdlayher/vsock v1.4.0 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	k8s.io/klog/v2 v2.140.0 // indirect
)

replace github.com/paddock-run/paddock => ../..
