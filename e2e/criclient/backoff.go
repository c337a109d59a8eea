package criclient

import (
	"time"

	"google.golang.org/grpc/backoff"
)

// fastBackoff reconnects quickly: tests kill and restart the runtime.
var fastBackoff = backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.3, MaxDelay: 200 * time.Millisecond}
