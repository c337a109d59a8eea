package podsandbox

import (
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

func TestBoundStats(t *testing.T) {
	now := time.Unix(1000, 0)
	cpu := func() *guestapi.CPUStats {
		return &guestapi.CPUStats{UsageNanos: math.MaxUint64, Periods: 3, Pressure: &guestapi.Pressure{
			Some: &guestapi.Stall{TotalNanos: math.MaxUint64, Avg10: 100_01, Avg60: 5, Avg300: math.MaxUint32},
		}}
	}
	answer := &guestapi.StatsResponse{
		Containers: []*guestapi.ContainerStats{
			{Id: "mine", Cpu: cpu(), UnixNanos: math.MaxInt64}, nil, {Id: "mine"}, {Id: "theirs"},
		},
		Pod: &guestapi.PodStats{Cpu: cpu(), UnixNanos: now.UnixNano() - 5, Io: &guestapi.IOStats{}, Interfaces: []*guestapi.InterfaceStats{
			nil, {Name: "eth0", RxBytes: math.MaxUint64}, {Name: "eth0"}, {Name: ""}, {Name: "a b"}, {Name: "x\"\n"}, {Name: "sixteen-letters!"}, {Name: "\xff"},
		}},
	}
	for i := range 1000 {
		answer.Pod.Interfaces = append(answer.Pod.Interfaces, &guestapi.InterfaceStats{Name: fmt.Sprint("n", i)})
		answer.Pod.Io.Devices = append(answer.Pod.Io.Devices, &guestapi.DeviceIO{Minor: uint32(i / 2), ReadBytes: math.MaxUint64}, nil)
	}
	boundStats(answer, func(id string) bool { return id == "mine" }, now)
	if len(answer.Containers) != 1 || answer.Containers[0].UnixNanos != now.UnixNano() {
		t.Fatalf("containers %v", answer.Containers)
	}
	for _, c := range []*guestapi.CPUStats{answer.Containers[0].Cpu, answer.Pod.Cpu} {
		s := c.Pressure.Some
		if c.UsageNanos != math.MaxInt64 || c.Periods != 3 || s.TotalNanos != math.MaxInt64 || s.Avg10 != 100_00 || s.Avg60 != 5 || s.Avg300 != 100_00 {
			t.Errorf("%v", c)
		}
	}
	p := answer.Pod
	if p.UnixNanos != now.UnixNano()-5 || len(p.Interfaces) != maxInterfaces || p.Interfaces[0].Name != "eth0" || p.Interfaces[1].Name != "n0" || p.Interfaces[0].RxBytes != math.MaxInt64 {
		t.Errorf("time %d, interfaces %v", p.UnixNanos, p.Interfaces)
	}
	if len(p.Io.Devices) != maxDevices || p.Io.Devices[1].Minor != 1 || p.Io.Devices[1].ReadBytes != math.MaxInt64 {
		t.Errorf("devices %v", p.Io.Devices)
	}
	boundStats(&guestapi.StatsResponse{}, nil, now)
}

// FuzzBoundStats: whatever a guest sends, what is passed on is within bounds.
func FuzzBoundStats(f *testing.F) {
	seed, _ := proto.Marshal(&guestapi.StatsResponse{
		Containers: []*guestapi.ContainerStats{{Id: "mine", Io: &guestapi.IOStats{Devices: []*guestapi.DeviceIO{{Major: 1}}}}},
		Pod:        &guestapi.PodStats{UnixNanos: 1, Interfaces: []*guestapi.InterfaceStats{{Name: "eth0"}}, Cpu: &guestapi.CPUStats{UsageNanos: math.MaxUint64}},
	})
	f.Add(seed)
	now := time.Unix(1000, 0)
	f.Fuzz(func(t *testing.T, raw []byte) {
		answer := &guestapi.StatsResponse{}
		if proto.Unmarshal(raw, answer) != nil {
			return
		}
		boundStats(answer, func(id string) bool { return id == "mine" }, now)
		if len(answer.Containers) > 1 || len(answer.Pod.GetInterfaces()) > maxInterfaces || len(answer.Pod.GetIo().GetDevices()) > maxDevices {
			t.Errorf("too much: %v", answer)
		}
		for _, n := range answer.Pod.GetInterfaces() {
			if !interfaceName.MatchString(n.Name) || n.RxBytes > math.MaxInt64 {
				t.Errorf("interface %v", n)
			}
		}
		if p := answer.Pod; p != nil && (p.UnixNanos <= 0 || p.GetCpu().GetUsageNanos() > math.MaxInt64 || p.GetIo().GetPressure().GetSome().GetAvg10() > maxPercent) {
			t.Errorf("pod %v", p)
		}
	})
}
