package hns

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"github.com/Microsoft/go-winio/pkg/guid"
	"github.com/Microsoft/hcsshim/hcn"
	"golang.org/x/sys/windows"
)

// hcsshim's hcn has the service choose a namespace's id. The service's own function
// takes one (learn.microsoft.com/virtualization/api/hcn/Reference/HcnCreateNamespace),
// which can be noted before there is a namespace to lose.
var (
	computenetwork     = windows.NewLazySystemDLL("computenetwork.dll")
	hcnCreateNamespace = computenetwork.NewProc("HcnCreateNamespace")
	hcnQueryNamespace  = computenetwork.NewProc("HcnQueryNamespaceProperties")
	hcnCloseNamespace  = computenetwork.NewProc("HcnCloseNamespace")
)

func newNamespaceID() (string, error) {
	id, err := guid.NewV4()
	return id.String(), err
}

// makeNamespace makes an empty namespace and returns its id: the one given, unless
// the service knows better.
func makeNamespace(id string) (string, error) {
	g, err := guid.FromString(id)
	if err != nil {
		return "", err
	}
	settings, err := json.Marshal(hcn.NewNamespace(hcn.NamespaceTypeHost))
	if err != nil {
		return "", err
	}
	text, err := windows.UTF16PtrFromString(string(settings))
	if err != nil {
		return "", err
	}
	var handle uintptr
	var failure *uint16
	r, _, _ := hcnCreateNamespace.Call(uintptr(unsafe.Pointer(&g)), uintptr(unsafe.Pointer(text)), uintptr(unsafe.Pointer(&handle)), uintptr(unsafe.Pointer(&failure)))
	if err := hcnError("HcnCreateNamespace", r, failure); err != nil {
		return "", fmt.Errorf("make an HCN namespace: %w", err)
	}
	defer hcnCloseNamespace.Call(handle)
	made, err := namespaceID(handle)
	if err != nil {
		return "", fmt.Errorf("HCN namespace %s: %w", id, err)
	}
	return made, nil
}

func namespaceID(handle uintptr) (string, error) {
	query, err := windows.UTF16PtrFromString(`{"SchemaVersion":{"Major":2,"Minor":0},"Flags":0}`)
	if err != nil {
		return "", err
	}
	var properties, failure *uint16
	r, _, _ := hcnQueryNamespace.Call(handle, uintptr(unsafe.Pointer(query)), uintptr(unsafe.Pointer(&properties)), uintptr(unsafe.Pointer(&failure)))
	if err := hcnError("HcnQueryNamespaceProperties", r, failure); err != nil {
		return "", err
	}
	var ns hcn.HostComputeNamespace
	if err := json.Unmarshal([]byte(taken(properties)), &ns); err != nil {
		return "", err
	}
	return strings.ToLower(ns.Id), nil
}

// hcnError is the error of a call with this HRESULT.
func hcnError(call string, r uintptr, failure *uint16) error {
	text := taken(failure)
	if int32(r) >= 0 {
		return nil
	}
	code := uint32(r)
	if code&0x1fff0000 == 0x00070000 { // a Win32 error within
		code &= 0xffff
	}
	return fmt.Errorf("%s: %w: %.1000s", call, syscall.Errno(code), text)
}

// taken is a text of the service's, which is given back.
func taken(p *uint16) string {
	if p == nil {
		return ""
	}
	defer windows.CoTaskMemFree(unsafe.Pointer(p))
	return windows.UTF16PtrToString(p)
}
