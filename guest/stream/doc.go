// Package stream is what both ends of a connection to the guest's stream port
// share: the header and its reply, and process output that survives either end
// of the connection being lost (see StdioStream in guest/api/agent.proto).
//
//	process ─▶ OutputBuffer ═══ connection, then another ═══▶ OutputReader ─▶ log
//	           keeps what is ◀──────── acknowledged offsets ──────────────── made durable
//	           not acknowledged
package stream
