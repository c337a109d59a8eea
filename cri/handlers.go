package cri

import (
	"slices"

	"github.com/paddock-run/paddock/admission/carry"
	"github.com/paddock-run/paddock/guest"
)

// hasWindows tells whether Windows pods can be run.
func (c Config) hasWindows() bool { return slices.Contains(c.Handlers, guest.WCOW) }

// handler finds the available runtime handler of a name, the empty one meaning the default.
func (c Config) handler(name string) (guest.Handler, error) {
	if name == "" {
		return c.DefaultHandler, nil
	}
	h := guest.Handler(name)
	if slices.Contains(c.Handlers, h) {
		return h, nil
	}
	if h == guest.WCOW {
		return "", missingWindowsPods.err()
	}
	return "", invalid("runtime_handler", "%q is unknown; there are %q", clip(name), c.Handlers)
}

// handlerAnnotations name the handler of an image where the request has no field for it, the first that is there counts.
var handlerAnnotations = []string{carry.HandlerAnnotation, "io.containerd.cri.runtime-handler"}

// imageOS finds the OS that an image is wanted for: by the handler that the
// image names, else by annotation of the image or the sandbox, else by the default handler.
func (c Config) imageOS(named string, annotations ...map[string]string) (guest.OS, error) {
	for _, m := range annotations {
		for _, key := range handlerAnnotations {
			if named == "" {
				named = m[key]
			}
		}
	}
	h, err := c.handler(named)
	if err != nil {
		return 0, err
	}
	os, _ := h.OS()
	return os, nil
}
