// Package config reads Paddock's configuration file. default.yaml is its
// documentation and its defaults.
package config
