package hostpipe

import (
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
)

// security admits SYSTEM and the members of Administrators, and nobody else:
// who may open our pipes may run anything as SYSTEM. (D:P: no inherited rights; GA: all access.)
const security = "D:P(A;;GA;;;SY)(A;;GA;;;BA)"

// Listen makes the pipe of a path (\\.\pipe\NAME), which holds buffer bytes in each
// direction. That another process has it is an error; a pipe goes with its process,
// so none is ever left over.
func Listen(path string, buffer int32) (net.Listener, error) {
	l, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: security, InputBufferSize: buffer, OutputBufferSize: buffer})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	settle(path)
	return l, nil
}
