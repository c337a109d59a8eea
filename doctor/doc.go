// Package doctor finds out what a host can do for Paddock and what is missing,
// with the fix for each miss.
package doctor
