//go:build !windows

// Command paddock-wininit is a program for Windows; see main_windows.go.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "paddock-wininit is built with GOOS=windows")
	os.Exit(2)
}
