package hcs

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge/bridgetest"
)

// fault is an HRESULT to be given in place of a call's own.
type fault struct {
	function  string // "HcsX" for the call itself, "HcsX:result" for its operation's result
	skip, how int    // calls to let through first, and calls to fail; how < 0: all
	code      result
}

// injected is the HRESULT that a test wants of this call; ok if none.
func (s *Server) injected(function string) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.function != function {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		if f.how != 0 {
			f.how--
			return f.code
		}
	}
	return ok
}

// Fail has a function's calls fail: after skip good ones, count times (-1: always).
// The name with ":result" fails the operation's result after its work was done.
func (s *Server) Fail(function string, skip, count int, code uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{function, skip, count, result(code)})
}

// Watch has f told of every call before it is served; nil ends that. Calls wait for f.
func (s *Server) Watch(f func(function string, args []string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// test are calls that no real service has, for tests under Wine.
func (s *Server) test(function string, args []string) (result, string) {
	switch {
	case function == "TestEndpoint" && len(args) == 1:
		id := uuid.NewString()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.testEndpoints[id] = args[0]
		return ok, id
	case function == "TestLeft":
		b, _ := json.Marshal(s.Left())
		return ok, string(b)
	case function == "TestHeal":
		s.Heal()
		return ok, ""
	case function == "TestFail" && len(args) == 4:
		skip, err1 := strconv.Atoi(args[1])
		count, err2 := strconv.Atoi(args[2])
		code, err3 := strconv.ParseUint(args[3], 0, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return invalidArgument, err.Error()
		}
		s.Fail(args[0], skip, count, uint32(code))
		return ok, ""
	case function == "TestKill" && len(args) == 1:
		return s.onMachine(args[0], func(m *machine) error {
			err := m.cmd.Process.Kill()
			<-m.ended
			return err
		})
	case function == "TestCrash" && len(args) == 1:
		return s.onMachine(args[0], func(m *machine) error {
			if err := m.do("inject-nmi", nil, nil); err != nil {
				return err
			}
			<-m.ended
			return nil
		})
	case function == "TestBreak" && len(args) == 1:
		return s.onGuest(args[0], func(g *bridgetest.Guest) string { g.Break(); return "" })
	case function == "TestMute" && len(args) == 1:
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, sys := range s.systems {
			if sys.runtimeID == args[0] && sys.mute != nil {
				sys.mute()
			}
		}
		return ok, ""
	case function == "TestRefuse" && len(args) == 2:
		return s.onGuest(args[0], func(g *bridgetest.Guest) string { g.RefuseNext(args[1]); return "" })
	case function == "TestAsked" && len(args) == 1:
		return s.onGuest(args[0], func(g *bridgetest.Guest) string { return strings.Join(g.Asked(), "\n") })
	case function == "TestDisconnect" && len(args) == 1:
		return s.disconnect(args[0])
	}
	return invalidArgument, "no such test call"
}

func (s *Server) onGuest(runtimeID string, f func(*bridgetest.Guest) string) (result, string) {
	s.mu.Lock()
	var g *bridgetest.Guest
	for _, sys := range s.systems {
		if sys.runtimeID == runtimeID {
			g = sys.guest
		}
	}
	s.mu.Unlock()
	if g == nil {
		return systemNotFound, "no Windows guest"
	}
	return ok, f(g)
}

func (s *Server) onMachine(runtimeID string, f func(*machine) error) (result, string) {
	s.mu.Lock()
	var m *machine
	for _, sys := range s.systems {
		if sys.runtimeID == runtimeID {
			m = sys.machine
		}
	}
	s.mu.Unlock()
	if m == nil {
		return systemNotFound, ""
	}
	if err := f(m); err != nil {
		return unspecified, err.Error()
	}
	return ok, ""
}

// disconnect tells the holders of a system that the service has ended.
func (s *Server) disconnect(runtimeID string) (result, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sys := range s.systems {
		if sys.runtimeID == runtimeID {
			s.notify(sys, event{0x02000000, ""})
			return ok, ""
		}
	}
	return systemNotFound, ""
}
