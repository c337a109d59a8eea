package fileshare

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ServerCommand {
		os.Exit(ServerMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}
