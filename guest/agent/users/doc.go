// Package users resolves who a container runs as from the image's own passwd
// and group files, which are untrusted input: they are read without following
// links out of the image and bounded in size.
package users
