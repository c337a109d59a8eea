package podsandbox

import (
	"math"
	"regexp"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// Bounds of what a guest tells of itself.
const (
	maxInterfaces = 64
	maxDevices    = 64
	maxPercent    = 100_00 // in hundredths
	// clockSkew is how far a guest's clock may be off.
	clockSkew = time.Minute
)

// interfaceName is what Linux takes, without what would need quoting.
var interfaceName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,15}$`)

// boundStats cuts a guest's answer to what can be: known containers, each once;
// bounded lists; times near now; numbers that fit int64, in which kubelet keeps them.
func boundStats(answer *guestapi.StatsResponse, known func(container string) bool, now time.Time) {
	seen := map[string]bool{}
	containers := answer.Containers[:0]
	for _, c := range answer.Containers {
		if c == nil || seen[c.Id] || !known(c.Id) {
			continue
		}
		seen[c.Id] = true
		c.UnixNanos = near(c.UnixNanos, now)
		boundIO(c.Io)
		boundNumbers(c.ProtoReflect())
		containers = append(containers, c)
	}
	answer.Containers = containers
	if p := answer.Pod; p != nil {
		p.UnixNanos = near(p.UnixNanos, now)
		p.Interfaces = namedInterfaces(p.Interfaces)
		boundIO(p.Io)
		boundNumbers(p.ProtoReflect())
	}
}

// near is a guest's time if it can be true, else now.
func near(nanos int64, now time.Time) int64 {
	if d := nanos - now.UnixNano(); nanos <= 0 || d > int64(clockSkew) || d < -int64(clockSkew) {
		return now.UnixNano()
	}
	return nanos
}

func namedInterfaces(list []*guestapi.InterfaceStats) []*guestapi.InterfaceStats {
	seen := map[string]bool{}
	kept := list[:0]
	for _, n := range list {
		if len(kept) < maxInterfaces && n != nil && !seen[n.Name] && interfaceName.MatchString(n.Name) {
			seen[n.Name] = true
			kept = append(kept, n)
		}
	}
	return kept
}

func boundIO(io *guestapi.IOStats) {
	if io == nil {
		return
	}
	type number struct{ major, minor uint32 }
	seen := map[number]bool{}
	kept := io.Devices[:0]
	for _, d := range io.Devices {
		n := number{d.GetMajor(), d.GetMinor()}
		if len(kept) < maxDevices && d != nil && !seen[n] {
			seen[n] = true
			kept = append(kept, d)
		}
	}
	io.Devices = kept
}

// boundNumbers caps every number of a message and of those in it.
func boundNumbers(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
		case f.IsList():
			if f.Kind() == protoreflect.MessageKind {
				for i := range v.List().Len() {
					boundNumbers(v.List().Get(i).Message())
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			if stall, ok := v.Message().Interface().(*guestapi.Stall); ok {
				for _, average := range []*uint32{&stall.Avg10, &stall.Avg60, &stall.Avg300} {
					*average = min(*average, maxPercent)
				}
			}
			boundNumbers(v.Message())
		case f.Kind() == protoreflect.Uint64Kind && v.Uint() > math.MaxInt64:
			m.Set(f, protoreflect.ValueOfUint64(math.MaxInt64))
		}
		return true
	})
}
