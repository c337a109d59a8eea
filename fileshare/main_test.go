//go:build linux

package fileshare

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case ServerCommand:
			os.Exit(ServerMain(os.Args[2:]))
		case helperArg:
			os.Exit(helperMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}
