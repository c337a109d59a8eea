// Package client is the host's side of the guest protocol: a control
// connection with the handshake done, and streams. It never reconnects by
// itself; Done and Err tell its owner when to.
package client
