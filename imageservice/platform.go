package imageservice

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// attestationType marks entries of an index that are not images.
const attestationType = "vnd.docker.reference.type"

// rankManifests returns the manifests of an index that run on want, best first.
//
// Linux follows containerd: the exact variant, then lesser ones, then what the
// architecture also runs. For Windows see fitsBuild; the highest os.version is
// nearest to what runs it, and the best patched one.
func rankManifests(index ocispec.Index, want ocispec.Platform) []ocispec.Descriptor {
	match := platforms.Only(want)
	if want.OS == "windows" {
		match = platforms.OnlyStrict(ocispec.Platform{OS: want.OS, Architecture: want.Architecture, Variant: want.Variant})
	}
	var fit []ocispec.Descriptor
	for _, d := range index.Manifests {
		if isAttestation(d) || d.Platform == nil {
			continue
		}
		p := platforms.Normalize(*d.Platform)
		fits := fitsBuild(p, want)
		if want.OS == "windows" {
			p.OSVersion, p.OSFeatures = "", nil
		}
		if fits && match.Match(p) {
			fit = append(fit, d)
		}
	}
	slices.SortStableFunc(fit, func(a, b ocispec.Descriptor) int {
		if want.OS == "windows" {
			return compareVersions(b.Platform.OSVersion, a.Platform.OSVersion)
		}
		pa, pb := platforms.Normalize(*a.Platform), platforms.Normalize(*b.Platform)
		if match.Less(pa, pb) {
			return -1
		}
		if match.Less(pb, pa) {
			return 1
		}
		return 0
	})
	return fit
}

// fitsBuild tells whether an image's Windows is not newer than the one that runs
// it. That is Microsoft's rule for containers with Hyper-V isolation, as all are
// here ("Windows container version compatibility"): the build counts, the revision
// does not. An image that does not name its build fits, and without a wanted version all do.
func fitsBuild(have, want ocispec.Platform) bool {
	if want.OSVersion == "" || have.OS != "windows" {
		return true
	}
	const build = 3 // parts of major.minor.build.revision
	return compareVersions(firstParts(have.OSVersion, build), firstParts(want.OSVersion, build)) <= 0
}

func firstParts(version string, n int) string {
	parts := strings.Split(version, ".")
	return strings.Join(parts[:min(n, len(parts))], ".")
}

// unlabelled returns the manifests whose platform only their config tells.
func unlabelled(index ocispec.Index) []ocispec.Descriptor {
	return slices.DeleteFunc(slices.Clone(index.Manifests), func(d ocispec.Descriptor) bool {
		return d.Platform != nil || isAttestation(d)
	})
}

func isAttestation(d ocispec.Descriptor) bool {
	return d.Annotations[attestationType] != "" || (d.Platform != nil && d.Platform.OS == "unknown")
}

// runsOn tells whether an image of platform have runs where want is wanted.
func runsOn(have, want ocispec.Platform) bool {
	if have.OS != want.OS || !fitsBuild(have, want) {
		return false
	}
	have = platforms.Normalize(have)
	have.OSVersion, have.OSFeatures = "", nil
	return platforms.Only(ocispec.Platform{OS: have.OS, Architecture: want.Architecture, Variant: want.Variant}).Match(have)
}

// noPlatform is the error that names what an image has instead.
func noPlatform(ref string, want ocispec.Platform, have []string) error {
	if len(have) == 0 {
		have = []string{"none"}
	}
	const most = 20
	if len(have) > most {
		have = append(have[:most:most], "...")
	}
	wanted := platforms.Format(want)
	if want.OSVersion != "" {
		wanted += " (" + want.OSVersion + " or older)"
	}
	return fmt.Errorf("%w: %s has no %s image, it has: %s", ErrNoPlatform, ref, wanted, strings.Join(have, ", "))
}

func platformNames(index ocispec.Index) []string {
	var names []string
	for _, d := range index.Manifests {
		if d.Platform == nil || isAttestation(d) {
			continue
		}
		names = append(names, platformName(*d.Platform))
	}
	return names
}

func platformName(p ocispec.Platform) string {
	name := platforms.Format(p)
	if p.OSVersion != "" {
		name += " (" + p.OSVersion + ")"
	}
	return name
}

// compareVersions compares dotted numbers, part by part.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if c := compareNumbers(part(as, i), part(bs, i)); c != 0 {
			return c
		}
	}
	return 0
}

func part(parts []string, i int) string {
	if i < len(parts) {
		return strings.TrimLeft(parts[i], "0")
	}
	return ""
}

// compareNumbers compares decimal numbers of any length, without leading zeros.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
