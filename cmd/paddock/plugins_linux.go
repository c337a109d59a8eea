package main

import (
	validator "github.com/containerd/nri/plugins/default-validator"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/nri"
	"github.com/paddock-run/paddock/podsandbox"
)

// plugins are NRI's, or none if the configuration wants none.
type plugins struct{ adapter *nri.Adapter }

func newPlugins(cfg *config.NRI, socket string) (plugins, error) {
	if !cfg.Enable {
		return plugins{}, nil
	}
	v := &cfg.Validator
	adapter, err := nri.New(nri.Config{
		Version: version, Socket: socket, PluginDir: cfg.PluginDir, PluginConfigDir: cfg.PluginConfigDir,
		RegistrationTimeout: cfg.RegistrationTimeout.Duration, RequestTimeout: cfg.RequestTimeout.Duration,
		Validator: validator.DefaultValidatorConfig{
			Enable:                                v.Enable,
			RejectOCIHookAdjustment:               v.RejectOCIHooks,
			RejectRuntimeDefaultSeccompAdjustment: v.RejectSeccompDefault,
			RejectUnconfinedSeccompAdjustment:     v.RejectSeccompUnconfined,
			RejectCustomSeccompAdjustment:         v.RejectSeccompLocalhost,
			RejectNamespaceAdjustment:             v.RejectNamespaces,
			RejectSysctlAdjustment:                v.RejectSysctls,
			RequiredPlugins:                       v.RequiredPlugins,
			TolerateMissingAnnotation:             v.TolerateMissingAnnotation,
		},
	})
	return plugins{adapter}, err
}

func (p plugins) hooks() podsandbox.Hooks {
	if p.adapter == nil {
		return nil
	}
	return p.adapter
}

func (p plugins) start(pods *podsandbox.Manager) error {
	if p.adapter == nil {
		return nil
	}
	return p.adapter.Start(pods)
}

func (p plugins) close() error {
	if p.adapter == nil {
		return nil
	}
	return p.adapter.Close()
}
