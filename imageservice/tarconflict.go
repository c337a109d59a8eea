package imageservice

// conflicts notices, entry by entry, what a disk written front to back cannot
// express, so that a plan is needed.
type conflicts struct {
	isDir map[string]bool // paths seen; false: no directory
}

func newConflicts() *conflicts { return &conflicts{isDir: map[string]bool{}} }

// add tells whether the entry conflicts with one before it.
func (c *conflicts) add(e entry) bool {
	dir := e.kind == entryDir || e.kind == entryOpaque
	was, seen := c.isDir[e.path]
	if seen && (!was || !dir) {
		return true
	}
	c.isDir[e.path] = dir
	for p := parent(e.path); p != ""; p = parent(p) {
		was, seen := c.isDir[p]
		if seen {
			return !was
		}
		c.isDir[p] = true
	}
	return false
}
