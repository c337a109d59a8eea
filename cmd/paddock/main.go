// Command paddock is the node agent: it serves CRI to kubelet, and tells about
// this host and its pods.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	runHelperProcess(os.Args)
	if err := newRoot().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "paddock:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "paddock",
		Short:         "A CRI runtime that gives every pod its own kernel",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	var configPath string
	root.PersistentFlags().StringVar(&configPath, "config", "", "configuration file (default: built in; see `paddock config`)")
	root.AddCommand(newServe(&configPath), newDoctor(&configPath), newPods(&configPath), newImages(&configPath),
		newConfig(), newInstall())
	root.AddCommand(hostCommands(&configPath)...)
	return root
}
