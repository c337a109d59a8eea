// Package reaper owns wait(2) for a process that is the reaper of others: PID
// 1 of a VM. It collects every child that ends, its own and adopted orphans,
// and hands the status to whoever follows that process. Nothing else in the
// process may wait: no exec.Cmd.Wait, no Process.Wait.
package reaper
