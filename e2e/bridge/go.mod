module github.com/paddock-run/paddock/e2e/bridge

go 1.26.8

require (
	github.com/mdlayher/vsock v1.4.0
	github.com/paddock-run/paddock v0.0.0
	golang.org/x/sys v0.50.0
)

require (
	github.com/Microsoft/go-winio v0.6.4 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mdlayher/socket v0.8.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	k8s.io/klog/v2 v2.140.0 // indirect
)

replace github.com/paddock-run/paddock => ../..
