//go:build !windows

package channel

import "fmt"

func openHvsock(rest string) (Dialer, error) {
	return nil, fmt.Errorf("%w: AF_HYPERV to VM %s needs a Windows host", ErrUnsupported, rest)
}
