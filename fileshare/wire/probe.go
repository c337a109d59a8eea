package wire

// The agent opens a file of this name, which is in no directory, as soon as it has
// mounted a share (guest/agent/fusepump), and asks to poll it: the client's kernel hears once that there is no
// polling (ENOSYS), and does not ask again. go-fuse, which answers on Linux hosts,
// has the file by itself.
const (
	probeName = ".go-fuse-epoll-hack"
	probeNode = ^uint64(0)
)

const (
	opPoll          = 40
	eNODATA   Errno = 61
	probeMode       = 0o100644
)

// isProbe tells whether a request is about that file.
func (r *request) isProbe() bool {
	if r.node == probeNode {
		return true
	}
	if r.opcode != opLookup || r.node != RootID {
		return false
	}
	look := *r
	return look.name() == probeName
}

// probe answers such a request.
func probe(r *request, a *answer) error {
	attr := Attr{Ino: probeNode, Mode: probeMode, Links: 1}
	switch r.opcode {
	case opLookup:
		if r.node != RootID {
			return eINVAL
		}
		a.entry(&Entry{Node: probeNode, Attr: attr})
	case opOpen:
		a.openOut(probeNode)
	case opGetattr, opSetattr:
		a.attrOut(&attr)
	case opGetxattr:
		return eNODATA
	case opPoll:
		return eNOSYS
	case opAccess, opFlush, opRelease:
	default: // not ENOSYS, which the client's kernel would take for good
		return eINVAL
	}
	return nil
}
