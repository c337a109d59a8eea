package podsandbox

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// AnnotationChangeNotices, of a pod, is "false" if what the host changes in the
// pod's volumes is not to be told to it: no inotify events, and caches that are a
// second old at most. "true" tells it where the configuration says otherwise.
const AnnotationChangeNotices = "paddock.run/change-notices"

// AnnotationEmptyDirSizeLimits, of a pod, gives emptyDirs of the medium "" a size
// limit that holds: "cache=1Gi,tmp=64Mi". CRI does not tell the volume's own sizeLimit.
// Such an emptyDir is a disk of that size, in kubelet's folder, whose use kubelet sees there.
const AnnotationEmptyDirSizeLimits = "paddock.run/empty-dir-size-limits"

// Sizes of emptyDirs with a limit, in bytes: an ext4 takes about a megabyte at least.
const (
	minEmptyDir = 4 << 20
	maxEmptyDir = 16 << 40
)

// podOptions are what a pod's annotations ask of its volumes.
type podOptions struct {
	changeNotices  bool
	emptyDirLimits map[string]uint64
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
	var err error
	o.emptyDirLimits, err = emptyDirLimits(annotations[AnnotationEmptyDirSizeLimits])
	return o, err
}

func emptyDirLimits(text string) (map[string]uint64, error) {
	if text == "" {
		return nil, nil
	}
	limits := map[string]uint64{}
	for part := range strings.SplitSeq(text, ",") {
		name, size, ok := strings.Cut(strings.TrimSpace(part), "=")
		q, err := resource.ParseQuantity(size)
		switch {
		case !ok || name == "" || err != nil:
			return nil, fmt.Errorf("%w: annotation %s: %q is not like cache=1Gi", ErrInvalid, AnnotationEmptyDirSizeLimits, part)
		case q.Value() < minEmptyDir || q.Value() > maxEmptyDir:
			return nil, fmt.Errorf("%w: annotation %s: %s: a limit must be between 4Mi and 16Ti", ErrInvalid, AnnotationEmptyDirSizeLimits, part)
		case limits[name] != 0:
			return nil, fmt.Errorf("%w: annotation %s: %s is there twice", ErrInvalid, AnnotationEmptyDirSizeLimits, name)
		}
		limits[name] = uint64(q.Value())
	}
	return limits, nil
}
