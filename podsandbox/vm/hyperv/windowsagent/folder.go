package windowsagent

import (
	"context"
	"fmt"
	"io"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

// makeFolder makes a folder of the VM's own disk. The guest service has no call for
// it, so that cmd does, which complains about a folder that is there already: that it
// can be listed is what counts. The path has no character that cmd would read.
func makeFolder(ctx context.Context, client *bridge.Client, path string) error {
	p, err := client.Execute(ctx, bridge.ProcessParameters{
		CommandLine: fmt.Sprintf("cmd /c mkdir %s & dir %s", path, path), WorkingDirectory: `C:\`, CreateStdOutPipe: true, CreateStdErrPipe: true,
	})
	if err != nil {
		return fmt.Errorf("make folder %s in the VM: %w", path, err)
	}
	defer p.Close()
	go io.Copy(io.Discard, p.Stderr()) //nolint:errcheck // only to end it
	go io.Copy(io.Discard, p.Stdout()) //nolint:errcheck // likewise
	code, err := p.Wait(ctx)
	if err != nil {
		return fmt.Errorf("make folder %s in the VM: %w", path, err)
	}
	if code != 0 {
		return fmt.Errorf("make folder %s in the VM: cmd ended with %d", path, code)
	}
	return nil
}
