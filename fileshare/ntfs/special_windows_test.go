//go:build !wine

package ntfs

func forgetSpecial() {}
