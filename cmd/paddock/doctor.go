package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/doctor"
)

func newDoctor(configPath *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this host can do, what is missing, and the fix",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(*configPath)
			if err != nil {
				return err
			}
			results := doctor.Run(cmd.Context(), hostChecks(cfg))
			write := doctor.WriteTable
			if asJSON {
				write = doctor.WriteJSON
			}
			if err := write(cmd.OutOrStdout(), results); err != nil {
				return err
			}
			if doctor.Failed(results) {
				return errors.New("this host cannot run pods yet: see FAIL above")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
