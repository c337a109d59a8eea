//go:build linux

package fileshare

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/paddock-run/paddock/fileshare/modeltest"
)

// TestRandomOperations compares a share, through the kernel's client, with an
// ordinary folder beside it. FuzzOperations does so through a raw client.
func TestRandomOperations(t *testing.T) {
	r := newRig(t)
	host, guest := r.share(t, "s", false)
	for seed := range uint64(12) {
		dir := fmt.Sprint(seed)
		model := filepath.Join(r.dir, "model"+dir)
		must(t, os.Mkdir(model, 0o755))
		must(t, os.Mkdir(filepath.Join(guest, dir), 0o755))
		random := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, 1600)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		modeltest.Compare(t, modeltest.Parse(data), modeltest.Native{Root: filepath.Join(guest, dir)}, filepath.Join(host, dir), model)
	}
}
