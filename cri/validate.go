package cri

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/paddock-run/paddock/guest"
)

// Limits of what a request may hold. Kubernetes' own are lower.
const (
	maxIDLength          = 128
	maxNameLength        = 253
	maxHostnameLength    = 64 // the kernel's __NEW_UTS_LEN
	maxPathLength        = 4096
	maxImageNameLength   = 4096
	maxLabelLength       = 4096 // key and value together
	maxLabelsSize        = 256 << 10
	maxAnnotationsSize   = 1 << 20
	maxAnnotationKeySize = 512
)

var (
	idPattern       = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	hostnamePattern = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)
	drivePattern    = regexp.MustCompile(`^[a-zA-Z]:([\\/]|$)`)
)

// clip shortens what a client sent, for an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// checkID refuses what can be neither an id nor a prefix of one.
func checkID(field, id string) error {
	switch {
	case id == "":
		return invalid(field, "is required")
	case len(id) > maxIDLength:
		return invalid(field, "is longer than %d characters", maxIDLength)
	case !idPattern.MatchString(id):
		return invalid(field, "%q is not an id", clip(id))
	}
	return nil
}

// checkOptionalID is checkID for filters, where empty means any.
func checkOptionalID(field, id string) error {
	if id == "" {
		return nil
	}
	return checkID(field, id)
}

// checkName is for names of pods, namespaces and containers. Names become
// parts of file names, so separators are refused.
func checkName(field, name string) error {
	switch {
	case name == "":
		return invalid(field, "is required")
	case len(name) > maxNameLength:
		return invalid(field, "is longer than %d characters", maxNameLength)
	case name == "." || name == ".." || strings.ContainsAny(name, "/\\") || hasControl(name):
		return invalid(field, "%q is not a name", clip(name))
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// checkEnum refuses numbers that an enum does not name.
func checkEnum(field string, e protoreflect.Enum) error {
	if e.Descriptor().Values().ByNumber(e.Number()) == nil {
		return invalid(field, "has the unknown value %d", e.Number())
	}
	return nil
}

func checkLabels(field string, labels map[string]string) error {
	total := 0
	for k, v := range labels {
		if k == "" {
			return invalid(field, "has an empty key")
		}
		if len(k)+len(v) > maxLabelLength {
			return invalid(field, "key %q and its value are longer than %d bytes", clip(k), maxLabelLength)
		}
		total += len(k) + len(v)
	}
	if total > maxLabelsSize {
		return invalid(field, "are larger than %d bytes", maxLabelsSize)
	}
	return nil
}

func checkAnnotations(field string, annotations map[string]string) error {
	total := 0
	for k, v := range annotations {
		if k == "" {
			return invalid(field, "has an empty key")
		}
		if len(k) > maxAnnotationKeySize {
			return invalid(field, "key %q is longer than %d bytes", clip(k), maxAnnotationKeySize)
		}
		total += len(k) + len(v)
	}
	if total > maxAnnotationsSize {
		return invalid(field, "are larger than %d bytes", maxAnnotationsSize)
	}
	return nil
}

// checkPath refuses paths that are not absolute on an OS.
func checkPath(field, path string, os guest.OS) error {
	switch {
	case path == "":
		return invalid(field, "is required")
	case len(path) > maxPathLength:
		return invalid(field, "is longer than %d bytes", maxPathLength)
	case strings.ContainsRune(path, 0):
		return invalid(field, "%q contains a NUL", clip(path))
	case !isAbs(path, os):
		return invalid(field, "%q is not an absolute path on %s", clip(path), os)
	}
	return nil
}

// isAbs is filepath.IsAbs for an OS that need not be the process's. On Windows, kubelet also sends paths from the
// root of the current drive, and named pipes.
func isAbs(path string, os guest.OS) bool {
	if os == guest.Windows {
		return drivePattern.MatchString(path) || strings.HasPrefix(path, `\`) || strings.HasPrefix(path, "/")
	}
	return strings.HasPrefix(path, "/")
}

// hasDotDot tells whether a path climbs, with either separator.
func hasDotDot(path string) bool {
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == ".." {
			return true
		}
	}
	return false
}

// at names a field of a list's element.
func at(field string, i int, sub string) string { return fmt.Sprintf("%s[%d].%s", field, i, sub) }
