// Package guesttest is an agent in Go code for guests of vmtest.Fake: it keeps
// containers and execs as the real one does, over the same protocol, with
// processes that a test scripts. It is for tests of what drives agents.
package guesttest
