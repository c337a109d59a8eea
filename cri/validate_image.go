package cri

import (
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// checkImage refuses image specs that name nothing. Whether the name can be parsed, the image service says.
func checkImage(field string, spec *runtimeapi.ImageSpec) error {
	name := spec.GetImage()
	switch {
	case name == "":
		return invalid(field, "is required")
	case len(name) > maxImageNameLength:
		return invalid(field, "is longer than %d bytes", maxImageNameLength)
	case strings.ContainsAny(name, " \t") || hasControl(name):
		return invalid(field, "%q is not an image", clip(name))
	}
	return checkAnnotations(field+".annotations", spec.GetAnnotations())
}
