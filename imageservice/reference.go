package imageservice

import (
	"fmt"
	"regexp"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// maxReferenceLength bounds a reference before it is parsed: a name of 255
// characters, a tag of 128 and a digest, with room to spare.
const maxReferenceLength = 1024

var imageID = regexp.MustCompile(`^(?:sha256:)?([0-9a-f]{64})$`)

// parseReference normalises as Docker and containerd do: docker.io/library/ and
// :latest are added, and a tag beside a digest is dropped.
func parseReference(ref string) (reference.Named, error) {
	if ref == "" || len(ref) > maxReferenceLength {
		return nil, fmt.Errorf("%w: %d characters; want registry/name:tag or registry/name@digest", ErrInvalidReference, len(ref))
	}
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, fmt.Errorf("%w %q: %w; want registry/name:tag or registry/name@digest", ErrInvalidReference, ref, err)
	}
	return named, nil
}

// parseID returns the image id that s is, with "sha256:" in front.
func parseID(s string) (string, bool) {
	m := imageID.FindStringSubmatch(s)
	if m == nil {
		return "", false
	}
	return "sha256:" + m[1], true
}

// recordNames are the names under which a pulled image is kept: its id, the tag
// if it was pulled by tag, and its digest reference.
func recordNames(named reference.Named, target digest.Digest, id string) []string {
	names := []string{id}
	if _, ok := named.(reference.NamedTagged); ok {
		names = append(names, named.String())
	}
	if _, ok := named.(reference.Canonical); ok {
		return append(names, named.String())
	}
	return append(names, named.Name()+"@"+target.String())
}

// splitNames sorts record names into tags and digest references; ids are neither.
func splitNames(names []string) (tags, digests []string) {
	for _, name := range names {
		parsed, err := reference.ParseAnyReference(name)
		if err != nil {
			continue
		}
		named, ok := parsed.(reference.Named)
		if !ok {
			continue
		}
		if _, ok := named.(reference.Canonical); ok {
			digests = append(digests, name)
		} else if _, ok := named.(reference.Tagged); ok {
			tags = append(tags, name)
		}
	}
	return tags, digests
}
