//go:build windows && wine

package ntfs

// forgetSpecial: ids of files under Wine come again.
func forgetSpecial() {
	standIn.mu.Lock()
	defer standIn.mu.Unlock()
	clear(standIn.files)
}
