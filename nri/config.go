package nri

import (
	"time"

	validator "github.com/containerd/nri/plugins/default-validator"
)

// Config is an Adapter's configuration.
type Config struct {
	// Version of the runtime, told to plugins.
	Version string
	// Socket is where plugins connect; "": none may.
	Socket string
	// PluginDir holds plugins to launch, NN-name each; PluginConfigDir their configurations, NN-name.conf or name.conf.
	PluginDir, PluginConfigDir string
	// RegistrationTimeout is what a plugin has to register; RequestTimeout to answer a request.
	RegistrationTimeout, RequestTimeout time.Duration
	// Validator configures NRI's own: it refuses adjustments, or containers for which a plugin is missing.
	Validator validator.DefaultValidatorConfig
}
