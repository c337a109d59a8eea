package computecore

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// HRESULT is a result of Windows' COM kind. One with the high bit set is an error.
type HRESULT uint32

// Failed tells whether it is an error.
func (h HRESULT) Failed() bool { return h&0x80000000 != 0 }

// Results that are told apart. HCS reports its own both with facility
// HYPERV (0x8037....) and as an NTSTATUS (0xC037....): compare with Same.
const (
	OperationPending    HRESULT = 0xC0370103
	InvalidState        HRESULT = 0xC0370105
	UnexpectedExitError HRESULT = 0xC0370106
	OperationTimeout    HRESULT = 0x80370118
	UnknownMessage      HRESULT = 0xC037010B
	InvalidJSON         HRESULT = 0xC037010D
	SystemNotFound      HRESULT = 0xC037010E
	SystemAlreadyExists HRESULT = 0xC037010F
	SystemStopped       HRESULT = 0xC0370110
	ProcessStopped      HRESULT = 0x8037011F
	ServiceNotAvailable HRESULT = 0x80370114
	OperationCancelled  HRESULT = 0x800704C7 // ERROR_CANCELLED
	ElementNotFound     HRESULT = 0x80070490 // ERROR_NOT_FOUND
	FileNotFound        HRESULT = 0x80070002
	PathNotFound        HRESULT = 0x80070003
	AccessDenied        HRESULT = 0x80070005
	OutOfMemory         HRESULT = 0x8007000E
	NoSystemResources   HRESULT = 0x800705AA
	AlreadyExists       HRESULT = 0x800700B7 // ERROR_ALREADY_EXISTS
	InvalidArgument     HRESULT = 0x80070057
	NotSupported        HRESULT = 0x80070032
	RPCUnavailable      HRESULT = 0x800706BA
	RPCFailed           HRESULT = 0x800706BE
)

var names = map[HRESULT]string{
	OperationPending: "the operation is pending", InvalidState: "the system is in a state in which it cannot do this",
	UnexpectedExitError: "the system exited unexpectedly", OperationTimeout: "the operation timed out",
	UnknownMessage: "the request is unknown to this version of the service", InvalidJSON: "the service does not understand the document",
	SystemNotFound: "no such system", SystemAlreadyExists: "a system with this id exists", SystemStopped: "the system has stopped",
	ProcessStopped: "the process has stopped", ServiceNotAvailable: "the Hyper-V platform is not available on this host",
	OperationCancelled: "the operation was cancelled", ElementNotFound: "not found", FileNotFound: "file not found",
	PathNotFound: "path not found", AccessDenied: "access denied", OutOfMemory: "out of memory",
	NoSystemResources: "the host lacks the resources", AlreadyExists: "it exists already", InvalidArgument: "a parameter is wrong",
	NotSupported: "not supported", RPCUnavailable: "the Host Compute Service is not running", RPCFailed: "the call to the Host Compute Service failed",
}

// normal is the one form of HCS's two, and of a bare Win32 code.
func (h HRESULT) normal() HRESULT {
	switch {
	case h&0x1fff0000 == 0x00370000: // HYPERV, as HRESULT or NTSTATUS
		return 0x80370000 | h&0xffff
	case h != 0 && h <= 0xffff:
		return 0x80070000 | h
	}
	return h
}

// Same tells whether two results mean the same.
func (h HRESULT) Same(other HRESULT) bool { return h.normal() == other.normal() }

// String names the result for people, by name and number.
func (h HRESULT) String() string {
	for known, name := range names {
		if h.Same(known) {
			return fmt.Sprintf("%s (0x%08X)", name, uint32(h))
		}
	}
	return fmt.Sprintf("HRESULT 0x%08X", uint32(h))
}

// Error is a call that failed.
type Error struct {
	// Call is the function's name.
	Call   string
	Result HRESULT
	// Detail is what the service said more; empty if it did not.
	Detail string
}

func (e *Error) Error() string {
	text := e.Call + ": " + e.Result.String()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Is makes errors.Is(err, HRESULT) of any form of the result work.
func (e *Error) Is(target error) bool {
	r, ok := target.(HRESULT)
	return ok && e.Result.Same(r)
}

// Error makes an HRESULT a target for errors.Is.
func (h HRESULT) Error() string { return h.String() }

// ResultOf is the HRESULT that an error carries; 0 if none.
func ResultOf(err error) HRESULT {
	var e *Error
	if errors.As(err, &e) {
		return e.Result
	}
	return 0
}

// maxDetail bounds what is quoted of a result document.
const maxDetail = 2000

// newError is the error of a call with this result document.
func newError(call string, result HRESULT, document string) *Error {
	e := &Error{Call: call, Result: result}
	var doc schema.ErrorResult
	if document == "" || json.Unmarshal([]byte(document), &doc) != nil {
		return e
	}
	parts := []string{strings.TrimSpace(doc.ErrorMessage)}
	for _, event := range doc.ErrorEvents {
		parts = append(parts, strings.TrimSpace(event.Message))
	}
	e.Detail = strings.Trim(strings.Join(parts, "; "), "; ")
	if len(e.Detail) > maxDetail {
		e.Detail = e.Detail[:maxDetail]
	}
	return e
}
