package main

import (
	"context"
	"errors"

	"github.com/paddock-run/paddock/config"
)

func serve(context.Context, *config.Config) error {
	return errors.New("serving needs a Linux host in this build: utility VMs of the Host Compute Service are not available yet")
}

func runHelperProcess([]string) {}
