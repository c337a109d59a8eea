// Package inroot opens paths inside a directory that untrusted software fills
// (an image, a volume) as if that directory were the root: neither a symbolic
// link nor .. leads out of it.
package inroot
