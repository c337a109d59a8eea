package hostcgroup

// Limits are those of a pod on the node; 0: none.
type Limits struct {
	Quota, Period int64 // microseconds of processor time, in each of so many
	Memory        int64 // bytes
}
