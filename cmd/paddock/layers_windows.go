//go:build !wine

package main

import "github.com/paddock-run/paddock/imageservice"

// windowsLayers unpacks layers of Windows images.
var windowsLayers = imageservice.WindowsLayers{}
