package wire

// Bits of fuse_init_in.flags.
const (
	initAsyncRead   = 1 << 0
	initPOSIXLocks  = 1 << 1
	initAtomicTrunc = 1 << 3
	initBigWrites   = 1 << 5
	initDontMask    = 1 << 6
	initFlockLocks  = 1 << 10
	initAutoInval   = 1 << 12
	initReaddirplus = 1 << 13
	initAsyncDIO    = 1 << 15
	initParallelDir = 1 << 18
	initMaxPages    = 1 << 22
	initKillPrivV2  = 1 << 28
	initWanted      = initAsyncRead | initPOSIXLocks | initAtomicTrunc | initBigWrites | initDontMask | initFlockLocks |
		initAutoInval | initReaddirplus | initAsyncDIO | initParallelDir | initMaxPages | initKillPrivV2
)

const (
	protocolMajor = 7
	protocolMinor = 38
	leastMinor    = 31
	maxBackground = 64
	pageSize      = 4096
)

// init agrees with the client's kernel on what both can: what go-fuse asks for on
// Linux hosts, but for ACLs and exchanging names, which Windows has not.
func (h *Handler) init(r *request, a *answer) error {
	major, minor, readahead, flags := r.u32(), r.u32(), r.u32(), r.u32()
	if r.bad || major != protocolMajor || minor < leastMinor {
		return eIO
	}
	a.u32(protocolMajor, min(minor, protocolMinor), min(readahead, uint32(h.maxWrite)), flags&initWanted)
	a.u32(maxBackground | (maxBackground*3/4)<<16)
	a.u32(uint32(h.maxWrite), 1) // times are told to the nanosecond
	a.u32(uint32(h.maxWrite / pageSize))
	a.u32(0, 0, 0, 0, 0, 0, 0, 0) // flags2, max_stack_depth and what is unused
	return nil
}
