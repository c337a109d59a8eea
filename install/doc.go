// Package install puts Paddock onto a Linux node, from a container that has the
// node's folders mounted, or from the node itself. It only writes files. Units
// of systemd are among them: one watches the last file written, and starts
// Paddock anew when it changes. So installing needs no right but to write there,
// and works from within a VM, too.
//
//	usr/local/lib/paddock/paddock, guest/   the program and its guest image
//	usr/local/bin/paddock                   a link to it
//	etc/paddock/config.yaml                 the defaults; one that is there stays
//	etc/systemd/system/paddock*.{service,path}
//	usr/local/lib/paddock/installed         the digest of it all, written last
package install
