// Package command is what the main functions of this module's longer programs share.
package command

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// Main reads the flags and runs a program until it ends or a signal cancels its
// context. An error is printed under the program's name, and its exit status is 1.
func Main(name string, run func(context.Context) error, signals ...os.Signal) {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}
