package cdi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tags.cncf.io/container-device-interface/pkg/cdi"
	"tags.cncf.io/container-device-interface/pkg/parser"
)

// Errors of this package wrap one of these.
var (
	// ErrName: a device's name is none.
	ErrName = errors.New("invalid CDI device name")
	// ErrUnavailable: the device cannot be given to a container here and now.
	ErrUnavailable = errors.New("CDI device injection failed")
)

// maxSpecErrors is how many unreadable specs an error names.
const maxSpecErrors = 3

// Registry finds devices in the specs of the node. Its methods may be called concurrently.
type Registry struct {
	dirs  []string
	cache *cdi.Cache // nil without dirs
}

// New makes a registry over folders of specs, the last one winning. They are
// read anew for each Resolve. Without folders every device is refused.
func New(dirs []string) *Registry {
	r := &Registry{dirs: dirs}
	if len(dirs) > 0 {
		r.cache, _ = cdi.NewCache(cdi.WithSpecDirs(dirs...), cdi.WithAutoRefresh(false)) // never fails
	}
	return r
}

// Requested lists the devices that a container asks for, by name and by
// annotations (cdi.k8s.io/...), each once.
func Requested(names []string, annotations map[string]string) ([]string, error) {
	var all []string
	add := func(name string) error {
		if !parser.IsQualifiedName(name) {
			return fmt.Errorf("%w %q: want vendor/class=name", ErrName, name)
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(key, cdi.AnnotationPrefix) {
			continue
		}
		for name := range strings.SplitSeq(annotations[key], ",") {
			if err := add(name); err != nil {
				return nil, fmt.Errorf("annotation %s: %w", key, err)
			}
		}
	}
	return all, nil
}

// Resolve returns what a container gets of devices, the edits of their specs included.
func (r *Registry) Resolve(names []string) (*Edits, error) {
	out := &Edits{}
	if len(names) == 0 {
		return out, nil
	}
	if r.cache == nil {
		return nil, fmt.Errorf("%w: %s: CDI is switched off; set cdi.enabled in Paddock's configuration", ErrUnavailable, strings.Join(names, ", "))
	}
	_ = r.cache.Refresh() // specs that cannot be read matter only if a device is missing
	devices, err := r.find(names)
	if err != nil {
		return nil, err
	}
	var specs []*cdi.Spec
	for _, d := range devices {
		spec := d.GetSpec()
		if !slices.Contains(specs, spec) {
			specs = append(specs, spec)
			if err := out.add(&spec.ContainerEdits); err != nil {
				return nil, refused(d, err)
			}
		}
		if err := out.add(&d.ContainerEdits); err != nil {
			return nil, refused(d, err)
		}
	}
	return out, nil
}

func (r *Registry) find(names []string) ([]*cdi.Device, error) {
	devices := make([]*cdi.Device, 0, len(names))
	var missing []string
	for _, name := range names {
		if d := r.cache.GetDevice(name); d != nil {
			devices = append(devices, d)
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return devices, nil
	}
	return nil, fmt.Errorf("%w: unresolvable CDI devices %s: no spec in %s has them%s",
		ErrUnavailable, strings.Join(missing, ", "), strings.Join(r.dirs, ", "), r.unreadable())
}

// unreadable tells of specs that could not be used: what is missing may be in them.
func (r *Registry) unreadable() string {
	bad := r.cache.GetErrors()
	var b strings.Builder
	for i, path := range slices.Sorted(maps.Keys(bad)) {
		if i == maxSpecErrors {
			fmt.Fprintf(&b, "; and %d more cannot be used", len(bad)-i)
			break
		}
		fmt.Fprintf(&b, "; %s cannot be used: %v", path, errors.Join(bad[path]...))
	}
	return b.String()
}

func refused(d *cdi.Device, err error) error {
	return fmt.Errorf("%w: %s of %s: %w; give the pod a device without it, or a runtime class whose pods share the node's kernel",
		ErrUnavailable, d.GetQualifiedName(), d.GetSpec().GetPath(), err)
}
