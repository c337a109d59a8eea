// Package podsandbox holds pod sandboxes and their containers: their state
// machines, store, recovery, logs and statistics.
package podsandbox
