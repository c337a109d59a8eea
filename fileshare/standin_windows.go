//go:build !wine

package fileshare

// standInVariables: Windows has no stand-ins.
var standInVariables []string
