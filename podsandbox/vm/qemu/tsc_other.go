//go:build !amd64

package qemu

func measureTSC() uint64 { return 0 }
