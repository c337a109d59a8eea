package podsandbox

import (
	"fmt"
	"strconv"
)

// AnnotationChangeNotices, of a pod, is "false" if what the host changes in the
// pod's volumes is not to be told to it: no inotify events, and caches that are a
// second old at most. "true" tells it where the configuration says otherwise.
const AnnotationChangeNotices = "paddock.run/change-notices"

// podOptions are what a pod's annotations ask of its volumes.
type podOptions struct {
	changeNotices bool
}

// options reads a pod's annotations; ErrInvalid for one that makes no sense.
func (c Config) options(annotations map[string]string) (podOptions, error) {
	o := podOptions{changeNotices: !c.NoChangeNotices}
	if text, ok := annotations[AnnotationChangeNotices]; ok {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return o, fmt.Errorf("%w: annotation %s: %q is neither true nor false", ErrInvalid, AnnotationChangeNotices, text)
		}
		o.changeNotices = on
	}
	return o, nil
}
