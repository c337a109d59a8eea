package hcs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the stand-in service.
type Server struct {
	schema *Schema
	prefix string // of Wine
	logf   func(format string, args ...any)
	listen net.Listener
	work   sync.WaitGroup

	mu         sync.Mutex
	next       uint64
	sessions   map[string]bool
	systems    map[string]*system
	handles    map[uint64]*handle
	operations map[uint64]*operation
	grants     map[string]map[string]bool // systems by the files that they may open
	faults     []*fault
	watch      func(function string, args []string) // nil: nobody watches
	handlers   map[string]handler                   // of other services, such as the network's
	// Endpoints finds endpoints of the network's service; nil: there is none.
	Endpoints     Endpoints
	networks      *hcn                     // nil: there is none
	testEndpoints map[string]string        // hardware addresses of endpoints on no network
	listeners     map[string]*listener     // of the host, by the VM's RuntimeId and service
	calls         map[string]chan net.Conn // guests' connections that the host has not fetched yet
}

// handler answers a call: a result and a text.
type handler func(session string, args []string) (result, string)

// handle is a process's hold of a system.
type handle struct {
	session string
	system  *system
	events  chan event // nil until a callback is set
}

type event struct {
	kind uint32
	data string
}

// operation is one call in flight, by its number.
type operation struct {
	session string
	begun   bool
	done    chan struct{}
	code    result
	text    string
	cancel  context.CancelFunc
}

// Start serves on a port of localhost. logf is told every refusal.
func Start(prefix string, logf func(string, ...any)) (*Server, error) {
	schema, err := LoadSchema()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		schema: schema, prefix: prefix, logf: logf, listen: l,
		sessions: map[string]bool{}, systems: map[string]*system{}, handles: map[uint64]*handle{},
		operations: map[uint64]*operation{}, grants: map[string]map[string]bool{}, handlers: map[string]handler{}, testEndpoints: map[string]string{},
		listeners: map[string]*listener{}, calls: map[string]chan net.Conn{},
	}
	s.work.Go(s.accept)
	return s, nil
}

// Address is for the environment of Wine's programs: PADDOCK_STANDIN.
func (s *Server) Address() string { return s.listen.Addr().String() }

// Close ends the service, every machine and every network.
func (s *Server) Close() {
	s.listen.Close()
	s.mu.Lock()
	var machines []*machine
	var links []string
	for _, sys := range s.systems {
		if sys.machine != nil {
			machines = append(machines, sys.machine)
		}
		for _, p := range sys.nics {
			links = append(links, p.tap)
		}
	}
	if s.networks != nil {
		for id := range s.networks.objects["Network"] {
			links = append(links, bridgeName(id))
		}
	}
	s.mu.Unlock()
	for _, m := range machines {
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
	for _, name := range links {
		removeLink(name)
	}
}

// Left is what is still there: systems, handles, operations, grants.
func (s *Server) Left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []string
	for id, sys := range s.systems {
		line := "system " + id + " " + sys.state
		for n, h := range s.handles {
			if h.system == sys {
				line += fmt.Sprintf(", held by %s as %d", h.session, n)
			}
		}
		left = append(left, line)
	}
	for file, ids := range s.grants {
		for id := range ids {
			left = append(left, "access of "+id+" to "+file)
		}
	}
	if s.networks != nil {
		left = append(left, s.networks.left()...)
	}
	return left
}

func (s *Server) accept() {
	for {
		conn, err := s.listen.Accept()
		if err != nil {
			return
		}
		go s.serve(conn)
	}
}

// maxRequest bounds a request, in bytes.
const maxRequest = 16 << 20

func readRequest(conn net.Conn) (session, function string, args []string, err error) {
	var n uint32
	if err := binary.Read(conn, binary.LittleEndian, &n); err != nil {
		return "", "", nil, err
	}
	if n > maxRequest {
		return "", "", nil, errors.New("request too long")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(conn, b); err != nil {
		return "", "", nil, err
	}
	fields := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if len(fields) < 2 {
		return "", "", nil, errors.New("request without a function")
	}
	return fields[0], fields[1], fields[2:], nil
}

func answer(conn net.Conn, code result, text string) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(code))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	_, err := conn.Write(append(b, text...))
	return err
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	session, function, args, err := readRequest(conn)
	if err != nil {
		return
	}
	switch function {
	case "Session":
		s.session(conn)
	case "HcsSetComputeSystemCallback":
		s.events(conn, session, args)
	case "Connect":
		s.connect(conn, args)
	case "Listen":
		s.hear(conn, args)
	case "Accept":
		s.fetch(conn, args)
	case "TestDial":
		s.testDial(conn, args)
	default:
		code, text := s.call(session, function, args)
		_ = answer(conn, code, text)
	}
}

// session lasts as long as a process of Wine's; its handles end with it.
func (s *Server) session(conn net.Conn) {
	s.mu.Lock()
	s.next++
	name := "s" + strconv.FormatUint(s.next, 10)
	s.sessions[name] = true
	s.mu.Unlock()
	if answer(conn, ok, name) == nil {
		_, _ = conn.Read(make([]byte, 1)) // until the process ends
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, name)
	for n, h := range s.handles {
		if h.session == name {
			s.closeHandle(n)
		}
	}
	for n, o := range s.operations {
		if o.session == name {
			delete(s.operations, n)
		}
	}
}

// call answers every function that is one request and one answer.
func (s *Server) call(session, function string, args []string) (result, string) {
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	if watch != nil {
		watch(function, args)
	}
	if h, found := s.handlers[function]; found {
		return h(session, args)
	}
	if strings.HasPrefix(function, "Test") {
		return s.test(function, args)
	}
	code, text := s.hcs(session, function, args)
	if code != ok && code != operationTimeout {
		s.logf("%s%q: 0x%08X %s", function, args, uint32(code), text)
	}
	return code, text
}

func (s *Server) hcs(session, function string, args []string) (result, string) {
	s.mu.Lock()
	known := s.sessions[session]
	s.mu.Unlock()
	if !known {
		return invalidHandle, ""
	}
	if code := s.injected(function); code != ok {
		return code, ""
	}
	want := map[string]int{
		"HcsCreateOperation": 0, "HcsCloseOperation": 1, "HcsWaitForOperationResult": 2, "HcsCancelOperation": 1,
		"HcsCreateComputeSystem": 3, "HcsOpenComputeSystem": 2, "HcsCloseComputeSystem": 1, "HcsEnumerateComputeSystems": 2,
		"HcsGrantVmAccess": 2, "HcsRevokeVmAccess": 2, "HcsGetServiceProperties": 1,
	}
	if n, found := want[function]; found && n != len(args) {
		return invalidArgument, ""
	}
	switch function {
	case "HcsCreateOperation":
		return ok, strconv.FormatUint(s.createOperation(session), 10)
	case "HcsCloseOperation":
		return s.closeOperation(args[0])
	case "HcsWaitForOperationResult":
		return s.waitOperation(args[0], args[1])
	case "HcsCancelOperation":
		return s.cancelOperation(args[0])
	case "HcsCreateComputeSystem":
		return s.createSystem(session, args[0], args[1], args[2])
	case "HcsOpenComputeSystem":
		return s.openSystem(session, args[0])
	case "HcsCloseComputeSystem":
		s.mu.Lock()
		defer s.mu.Unlock()
		n, _ := strconv.ParseUint(args[0], 10, 64)
		if s.handles[n] == nil {
			return invalidHandle, ""
		}
		s.closeHandle(n)
		return ok, ""
	case "HcsEnumerateComputeSystems":
		return s.enumerate(args[0], args[1])
	case "HcsGrantVmAccess":
		return s.grant(args[0], args[1])
	case "HcsRevokeVmAccess":
		return s.revoke(args[0], args[1])
	}
	if len(args) != 3 {
		return invalidArgument, function + " is unknown"
	}
	return s.onSystem(function, args[0], args[1], args[2])
}

func (s *Server) createOperation(session string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.operations[s.next] = &operation{session: session, done: make(chan struct{})}
	return s.next
}

func (s *Server) operation(number string) *operation {
	n, _ := strconv.ParseUint(number, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operations[n]
}

func (s *Server) closeOperation(number string) (result, string) {
	n, _ := strconv.ParseUint(number, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[n] == nil {
		return invalidHandle, ""
	}
	delete(s.operations, n)
	return ok, ""
}

func (s *Server) waitOperation(number, timeout string) (result, string) {
	o := s.operation(number)
	ms, err := strconv.ParseUint(timeout, 10, 32)
	if o == nil || err != nil {
		return invalidHandle, ""
	}
	if !o.begun {
		return operationNotStarted, ""
	}
	select {
	case <-o.done:
		return o.code, o.text
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return operationTimeout, ""
	}
}

func (s *Server) cancelOperation(number string) (result, string) {
	o := s.operation(number)
	if o == nil {
		return invalidHandle, ""
	}
	if o.cancel != nil {
		o.cancel()
	}
	return ok, ""
}

// begin runs an operation; work may take long. The lock is not held.
func (s *Server) begin(number, function string, work func(ctx context.Context) (string, *refusal)) (result, string) {
	o := s.operation(number)
	if o == nil {
		return invalidHandle, ""
	}
	s.mu.Lock()
	if o.begun {
		s.mu.Unlock()
		return operationStarted, ""
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.begun, o.cancel = true, cancel
	s.mu.Unlock()
	go func() {
		defer cancel()
		text, bad := work(ctx)
		if bad == nil {
			if code := s.injected(function + ":result"); code != ok {
				bad = refuse(code, "injected")
			}
		}
		if bad != nil {
			s.logf("%s: %v", function, bad)
			o.code, text = bad.code, bad.document()
		}
		o.text = text
		close(o.done)
	}()
	return ok, ""
}

// events sends a system's events until its handle is closed.
func (s *Server) events(conn net.Conn, session string, args []string) {
	if code := s.injected("HcsSetComputeSystemCallback"); code != ok {
		_ = answer(conn, code, "")
		return
	}
	n, _ := strconv.ParseUint(args[0], 10, 64)
	s.mu.Lock()
	h := s.handles[n]
	if h == nil || h.session != session || h.events != nil {
		s.mu.Unlock()
		_ = answer(conn, invalidHandle, "")
		return
	}
	h.events = make(chan event, 64)
	events := h.events
	s.mu.Unlock()
	if answer(conn, ok, "") != nil {
		return
	}
	for e := range events {
		if answer(conn, result(e.kind), e.data) != nil {
			return
		}
	}
}

// closeHandle is called with mu held. A stopped system that nobody holds is forgotten.
func (s *Server) closeHandle(n uint64) {
	h := s.handles[n]
	delete(s.handles, n)
	if h.events != nil {
		close(h.events)
	}
	s.forget(h.system)
}

// forget is called with mu held.
func (s *Server) forget(sys *system) {
	for _, h := range s.handles {
		if h.system == sys {
			return
		}
	}
	if sys.state == stopped && s.systems[sys.id] == sys {
		delete(s.systems, sys.id)
	}
	if sys.state == created { // never started and held by nobody
		delete(s.systems, sys.id)
	}
}

// notify tells every holder of a system. Called with mu held.
func (s *Server) notify(sys *system, e event) {
	for _, h := range s.handles {
		if h.system == sys && h.events != nil {
			h.events <- e
		}
	}
}
