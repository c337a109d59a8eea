//go:build !linux && !windows

package main

import (
	"context"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/doctor"
)

func hostChecks(*config.Config) []doctor.Check {
	return []doctor.Check{{Name: "hypervisor", Run: func(context.Context) doctor.Result {
		return doctor.Result{Level: doctor.Fail, Detail: "this host has no hypervisor that Paddock knows", Fix: "run Paddock on a Linux or Windows host"}
	}}}
}
