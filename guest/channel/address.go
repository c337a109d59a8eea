package channel

// Address names a way to a guest's ports that another process can use too.
// Its string form goes through Parse unchanged:
//
//	mux:/run/paddock/vm/<id>/share.sock   a multiplexed channel behind a Unix socket
//	vsock:<cid>                           AF_VSOCK
//	hvsock:<VM GUID>                      AF_HYPERV
type Address string
