//go:build cgo

package fileshare

const cgoBuilt = true
