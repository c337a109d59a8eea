//go:build !wine

package main

// settlePipe has nothing to do on Windows; see the build for Wine.
func settlePipe(string) {}
