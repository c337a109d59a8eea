package admission

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/paddock-run/paddock/admission/carry"
)

// Mutator decides pods' annotations.
type Mutator struct {
	// LinuxClasses and WindowsClasses are the RuntimeClasses of the pods that Paddock runs.
	LinuxClasses, WindowsClasses []string
}

// patchOp is a step of a JSON patch (RFC 6902).
type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Patch returns the JSON patch that makes the pod's annotations true; nil if they are.
func (m Mutator) Patch(pod *corev1.Pod) ([]byte, error) {
	var ops []patchOp
	set := func(key, value string) {
		path := "/metadata/annotations/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		switch now, there := pod.Annotations[key]; {
		case value == "" && there:
			ops = append(ops, patchOp{Op: "remove", Path: path})
		case value != "" && now != value:
			ops = append(ops, patchOp{Op: "add", Path: path, Value: value})
		}
	}
	linux := ""
	switch {
	case m.isLinux(pod):
		var err error
		if linux, err = carry.Encode(carried(pod)); err != nil {
			return nil, fmt.Errorf("annotation of pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		set(carry.HandlerAnnotation, carry.LinuxHandler)
	case isOf(pod, m.WindowsClasses):
		set(carry.HandlerAnnotation, carry.WindowsHandler)
	}
	set(carry.Annotation, linux)
	switch {
	case len(ops) == 0:
		return nil, nil
	case pod.Annotations == nil:
		ops = slices.Insert(ops, 0, patchOp{Op: "add", Path: "/metadata/annotations", Value: struct{}{}})
	}
	return json.Marshal(ops)
}

// isLinux tells whether a pod is a Linux pod of Paddock's. One that names
// Windows as its OS is not, whatever its RuntimeClass.
func (m Mutator) isLinux(pod *corev1.Pod) bool {
	if os := pod.Spec.OS; os != nil && os.Name == corev1.Windows {
		return false
	}
	return isOf(pod, m.LinuxClasses)
}

// isOf tells whether a pod's RuntimeClass is one of these.
func isOf(pod *corev1.Pod, classes []string) bool {
	class := pod.Spec.RuntimeClassName
	return class != nil && slices.Contains(classes, *class)
}

// carried puts together what a Linux kubelet would tell of the pod.
func carried(pod *corev1.Pod) carry.Pod {
	p := carry.Pod{Containers: map[string]carry.Container{}}
	sc := pod.Spec.SecurityContext
	if sc == nil {
		sc = &corev1.PodSecurityContext{}
	}
	p.Groups = append(p.Groups, sc.SupplementalGroups...)
	if sc.FSGroup != nil {
		p.Groups = append(p.Groups, *sc.FSGroup)
	}
	p.StrictGroups = sc.SupplementalGroupsPolicy != nil && *sc.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			c := &list[i]
			p.Containers[c.Name] = carriedContainer(sc, c.SecurityContext, c.Resources)
		}
	}
	return p
}

// carriedContainer merges a container's settings with the pod's, as kubelet does
// (DetermineEffectiveSecurityContext in pkg/securitycontext of Kubernetes).
func carriedContainer(pod *corev1.PodSecurityContext, own *corev1.SecurityContext, res corev1.ResourceRequirements) carry.Container {
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	c := carry.Container{
		User:            first(own.RunAsUser, pod.RunAsUser),
		Group:           first(own.RunAsGroup, pod.RunAsGroup),
		NonRoot:         isTrue(first(own.RunAsNonRoot, pod.RunAsNonRoot)),
		Privileged:      isTrue(own.Privileged),
		NoNewPrivileges: own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation,
		ReadOnlyRoot:    isTrue(own.ReadOnlyRootFilesystem),
		UnmaskedProc:    own.ProcMount != nil && *own.ProcMount == corev1.UnmaskedProcMount,
		CPURequest:      res.Requests.Cpu().MilliValue(),
	}
	if own.Capabilities != nil {
		c.AddCapabilities, c.DropCapabilities = names(own.Capabilities.Add), names(own.Capabilities.Drop)
	}
	if p := first(own.SeccompProfile, pod.SeccompProfile); p != nil {
		c.Seccomp.Type = string(p.Type)
		if p.LocalhostProfile != nil {
			c.Seccomp.File = *p.LocalhostProfile
		}
	}
	if res.Requests.Cpu().IsZero() {
		c.CPURequest = res.Limits.Cpu().MilliValue()
	}
	return c
}

// first is the container's setting if it has one, else the pod's.
func first[T any](own, pod *T) *T {
	if own != nil {
		return own
	}
	return pod
}

func isTrue(b *bool) bool { return b != nil && *b }

func names(list []corev1.Capability) []string {
	var out []string
	for _, c := range list {
		out = append(out, string(c))
	}
	return out
}
