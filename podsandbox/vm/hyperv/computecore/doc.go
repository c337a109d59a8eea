// Package computecore calls the Host Compute Service through computecore.dll
// (learn.microsoft.com/virtualization/api/hcs/reference). HRESULT and Error build
// on every OS, the calls on Windows.
//
// An operation, once begun, is never abandoned: computecore has been seen to
// access freed memory when handles went away under a call. So a goroutine waits
// for its end, whatever becomes of the caller, and holds the system's handle open:
//
//	begun ──result──▶ done
//	  │ the caller's ctx ends
//	  ▼
//	cancelled (HcsCancelOperation) ──result──▶ done
//	  │ no result within Grace: the caller gets ctx's error
//	  ▼
//	orphaned ──result──▶ undone if it made something ──▶ done
//
// There is one callback for the process; its context is a number by which the
// system is found, never a pointer of Go's.
package computecore
