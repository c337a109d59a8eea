// Package carry is what a Linux pod's spec says that a Windows kubelet does not
// pass on to its runtime, in the form of an annotation of the pod.
//
// Kubelet fills CRI's fields by the OS that it runs on itself: a Windows
// kubelet's ContainerConfig has `windows` only, so user, capabilities, read-only
// root, seccomp profile and CPU request of a Linux container do not arrive
// (pkg/kubelet/kuberuntime/kuberuntime_container_windows.go of Kubernetes). Annotations
// of a pod do. The admission webhook (package admission) writes this one, over
// whatever was there, so that nobody can say more in it than the pod's spec says,
// which admission plugins have seen. On Linux nodes it is not read.
package carry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Annotation is the annotation's key.
const Annotation = "paddock.dev/linux-pod"

// HandlerAnnotation is the annotation that names a pod's runtime handler where an
// image is asked for: kubelet names it in the request's own field only with its
// feature gate RuntimeClassInImageCriApi, and a node has both systems' images.
const HandlerAnnotation = "paddock.dev/runtime-handler"

// The handlers that HandlerAnnotation names.
const (
	LinuxHandler   = "lcow"
	WindowsHandler = "wcow"
)

// maxBytes bounds what is read: the API server limits all annotations of a pod to 256 KiB together.
const maxBytes = 256 << 10

// version of the form. A reader refuses others: what it does not know may be a restriction.
const version = 1

// Pod is what the annotation says.
type Pod struct {
	Version int `json:"version"`
	// Groups are the pod's supplemental groups, fsGroup among them.
	Groups []int64 `json:"groups,omitempty"`
	// StrictGroups leaves out groups that the image's /etc/group gives the user.
	StrictGroups bool `json:"strictGroups,omitempty"`
	// Containers is what each says, of every kind, by name.
	Containers map[string]Container `json:"containers"`
}

// Container is what holds for one container, the pod's own settings included.
type Container struct {
	User       *int64 `json:"user,omitempty"`
	Group      *int64 `json:"group,omitempty"`
	NonRoot    bool   `json:"nonRoot,omitempty"`
	Privileged bool   `json:"privileged,omitempty"`
	// NoNewPrivileges is allowPrivilegeEscalation: false.
	NoNewPrivileges  bool     `json:"noNewPrivileges,omitempty"`
	ReadOnlyRoot     bool     `json:"readOnlyRoot,omitempty"`
	AddCapabilities  []string `json:"addCapabilities,omitempty"`
	DropCapabilities []string `json:"dropCapabilities,omitempty"`
	// UnmaskedProc is procMount: Unmasked.
	UnmaskedProc bool    `json:"unmaskedProc,omitempty"`
	Seccomp      Seccomp `json:"seccomp,omitzero"`
	// CPURequest is in thousandths of a processor.
	CPURequest int64 `json:"cpuRequest,omitempty"`
}

// Seccomp is a profile. An empty Type means Unconfined, as in CRI.
type Seccomp struct {
	Type string `json:"type,omitempty"` // Unconfined, RuntimeDefault or Localhost
	// File of a Localhost profile.
	File string `json:"file,omitempty"`
}

// Encode is the annotation's value.
func Encode(p Pod) (string, error) {
	p.Version = version
	b, err := json.Marshal(p)
	return string(b), err
}

// Decode reads an annotation's value. An error says what is wrong with it; a
// value that is not wholly understood is an error.
func Decode(value string) (Pod, error) {
	if len(value) > maxBytes {
		return Pod{}, fmt.Errorf("annotation %s: %d bytes are too many", Annotation, len(value))
	}
	d := json.NewDecoder(strings.NewReader(value))
	d.DisallowUnknownFields()
	var p Pod
	if err := d.Decode(&p); err != nil {
		return Pod{}, fmt.Errorf("annotation %s: %w", Annotation, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Pod{}, fmt.Errorf("annotation %s: something follows its value", Annotation)
	}
	if p.Version != version {
		return Pod{}, fmt.Errorf("annotation %s: version %d, this runtime reads %d; use the admission webhook of the same release", Annotation, p.Version, version)
	}
	return p, nil
}
