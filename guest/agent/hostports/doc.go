// Package hostports makes the localhost of a guest and that of its node one, as
// far as listeners go, for a pod on the node's network.
//
//	what the node listens on   ── a listener of the same port in the guest ──▶ the node
//	what the pod listens on    ── told to the host, which makes the node's port lead here
//	   on localhost only       ── from the link's address ──▶ the pod's localhost
//
// So a process of the pod finds on 127.0.0.1 what the node's own finds there,
// sees it in netstat, and fails to bind a port that the node uses, as it would
// in the node's own network namespace.
package hostports
