package main

import "github.com/spf13/cobra"

// hostCommands are the commands that only this kind of host has.
func hostCommands(configPath *string) []*cobra.Command {
	return []*cobra.Command{newService(configPath)}
}
