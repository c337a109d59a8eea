package computecore

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

//go:generate go run golang.org/x/sys/windows/mkwinsyscall -output zsyscall_windows.go computecore_windows.go

//sys hcsCreateOperation(context uintptr, callback uintptr) (operation uintptr) = computecore.HcsCreateOperation
//sys hcsCloseOperation(operation uintptr) = computecore.HcsCloseOperation
//sys hcsWaitForOperationResult(operation uintptr, timeoutMs uint32, result **uint16) (hr HRESULT) = computecore.HcsWaitForOperationResult
//sys hcsCancelOperation(operation uintptr) (hr HRESULT) = computecore.HcsCancelOperation
//sys hcsCreateComputeSystem(id *uint16, configuration *uint16, operation uintptr, securityDescriptor *windows.SECURITY_DESCRIPTOR, system *uintptr) (hr HRESULT) = computecore.HcsCreateComputeSystem
//sys hcsOpenComputeSystem(id *uint16, access uint32, system *uintptr) (hr HRESULT) = computecore.HcsOpenComputeSystem
//sys hcsCloseComputeSystem(system uintptr) = computecore.HcsCloseComputeSystem
//sys hcsStartComputeSystem(system uintptr, operation uintptr, options *uint16) (hr HRESULT) = computecore.HcsStartComputeSystem
//sys hcsShutDownComputeSystem(system uintptr, operation uintptr, options *uint16) (hr HRESULT) = computecore.HcsShutDownComputeSystem
//sys hcsTerminateComputeSystem(system uintptr, operation uintptr, options *uint16) (hr HRESULT) = computecore.HcsTerminateComputeSystem
//sys hcsPauseComputeSystem(system uintptr, operation uintptr, options *uint16) (hr HRESULT) = computecore.HcsPauseComputeSystem
//sys hcsResumeComputeSystem(system uintptr, operation uintptr, options *uint16) (hr HRESULT) = computecore.HcsResumeComputeSystem
//sys hcsSaveComputeSystem(system uintptr, operation uintptr, options *uint16) (hr HRESULT) = computecore.HcsSaveComputeSystem
//sys hcsModifyComputeSystem(system uintptr, operation uintptr, configuration *uint16, identity windows.Handle) (hr HRESULT) = computecore.HcsModifyComputeSystem
//sys hcsGetComputeSystemProperties(system uintptr, operation uintptr, query *uint16) (hr HRESULT) = computecore.HcsGetComputeSystemProperties
//sys hcsSetComputeSystemCallback(system uintptr, options uint32, context uintptr, callback uintptr) (hr HRESULT) = computecore.HcsSetComputeSystemCallback
//sys hcsEnumerateComputeSystems(query *uint16, operation uintptr) (hr HRESULT) = computecore.HcsEnumerateComputeSystems
//sys hcsGetServiceProperties(query *uint16, result **uint16) (hr HRESULT) = computecore.HcsGetServiceProperties
//sys hcsGrantVmAccess(id *uint16, path *uint16) (hr HRESULT) = computecore.HcsGrantVmAccess
//sys hcsRevokeVmAccess(id *uint16, path *uint16) (hr HRESULT) = computecore.HcsRevokeVmAccess
//sys nameToGuid(name *uint16, id *windows.GUID) (hr HRESULT) = vmcompute.NameToGuid
//sys coTaskMemFree(p unsafe.Pointer) = ole32.CoTaskMemFree

// Available tells whether this Windows has the service's library with all that
// is called here; the error says what to do.
func Available() error {
	if err := modcomputecore.Load(); err != nil {
		return fmt.Errorf("the Host Compute Service is not installed: %w; enable it: Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V, Containers", err)
	}
	for _, proc := range []*windows.LazyProc{
		procHcsCreateOperation, procHcsCreateComputeSystem, procHcsOpenComputeSystem, procHcsModifyComputeSystem,
		procHcsSetComputeSystemCallback, procHcsGrantVmAccess, procHcsRevokeVmAccess, procHcsSaveComputeSystem,
	} {
		if err := proc.Find(); err != nil {
			return fmt.Errorf("this Windows is too old for Paddock (want build 17763 or newer): %w", err)
		}
	}
	return nil
}

// take turns a string of the service's into one of ours, and frees it.
func take(p *uint16) string {
	if p == nil {
		return ""
	}
	defer coTaskMemFree(unsafe.Pointer(p))
	return windows.UTF16PtrToString(p)
}

// wide is s for the service; nil for "".
func wide(s string) (*uint16, error) {
	if s == "" {
		return nil, nil
	}
	return syscall.UTF16PtrFromString(s)
}

// NameToGUID is the id under which a layer in a folder of that name is known, to
// guests and in the layers made on top of it.
func NameToGUID(name string) (string, error) {
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return "", err
	}
	if err := procNameToGuid.Find(); err != nil {
		return "", fmt.Errorf("the Containers feature is not installed: %w", err)
	}
	var id windows.GUID
	if hr := nameToGuid(p, &id); hr != 0 {
		return "", &Error{Call: "NameToGuid", Result: hr}
	}
	return strings.ToLower(strings.Trim(id.String(), "{}")), nil
}
