//go:build !unix

package image

import (
	"context"
	"errors"
)

// lock is not needed: the image is built from Debian packages, on Linux only.
func lock(context.Context, string) (func(), error) {
	return nil, errors.New("the guest image can be built on Linux only")
}
