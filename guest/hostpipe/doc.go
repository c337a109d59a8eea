// Package hostpipe listens on named pipes of a Windows host that nobody but SYSTEM and
// Administrators may open.
package hostpipe
