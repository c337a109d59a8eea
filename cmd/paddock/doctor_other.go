//go:build !linux

package main

import (
	"context"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/doctor"
)

func hostChecks(*config.Config) []doctor.Check {
	return []doctor.Check{{Name: "hypervisor", Run: func(context.Context) doctor.Result {
		return doctor.Result{Level: doctor.Fail, Detail: "the Host Compute Service is not supported yet", Fix: "run Paddock on a Linux host"}
	}}}
}
