//go:build !wine

package hostpipe

// settle has nothing to do on Windows; see the build for Wine.
func settle(string) {}
