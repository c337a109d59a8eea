package main

import (
	"context"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/doctor"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
)

func hostChecks(cfg *config.Config) []doctor.Check {
	return doctor.HostChecks(cfg, func(ctx context.Context) (string, string) {
		if r := qemu.ProbeKVM(ctx); r.Usable {
			return "kvm", r.Reason
		} else {
			return "tcg", r.Reason
		}
	})
}
