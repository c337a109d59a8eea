package main

import (
	"os"

	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
)

// runHelperProcess does not return when this process was started as one of the
// daemon's own helpers.
func runHelperProcess(args []string) {
	qemu.MaybeRunProbe()
	if len(args) > 1 && args[1] == fileshare.ServerCommand {
		os.Exit(fileshare.ServerMain(args[2:]))
	}
}
