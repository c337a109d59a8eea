// Package bench measures a CRI runtime's pods, step by step, and sets two
// runtimes' figures side by side.
package bench
