//go:build linux

package fileshare

import (
	"os"
	"testing"
	"time"

	"github.com/paddock-run/paddock/fileshare/posix"
)

// cacheTimeEnv is how long a server of a test lets the guest cache; unset, as any server.
const cacheTimeEnv = "FILESHARE_TEST_CACHE_TIME"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case ServerCommand:
			if d, err := time.ParseDuration(os.Getenv(cacheTimeEnv)); err == nil {
				posix.CacheTime = d
			}
			os.Exit(ServerMain(os.Args[2:]))
		case helperArg:
			os.Exit(helperMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}
