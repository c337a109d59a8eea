//go:build !linux

package podsandbox

import (
	"context"
	"fmt"
)

func copySparse(context.Context, string, string) error {
	return fmt.Errorf("%w: ext4 scratch images need a Linux host", ErrUnsupported)
}
