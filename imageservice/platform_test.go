package imageservice

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestRankManifests(t *testing.T) {
	p := func(os, arch, variant, version string) ocispec.Platform {
		return ocispec.Platform{OS: os, Architecture: arch, Variant: variant, OSVersion: version}
	}
	for name, tc := range map[string]struct {
		have []ocispec.Platform
		want ocispec.Platform
		best int // -1: none
	}{
		"architecture":        {[]ocispec.Platform{p("linux", "arm64", "v8", ""), p("linux", "amd64", "", "")}, p("linux", "amd64", "", ""), 1},
		"variant":             {[]ocispec.Platform{p("linux", "arm", "v6", ""), p("linux", "arm", "v7", ""), p("linux", "arm", "v8", "")}, p("linux", "arm", "v7", ""), 1},
		"lesser variant":      {[]ocispec.Platform{p("linux", "arm", "v5", ""), p("linux", "arm", "v6", "")}, p("linux", "arm", "v7", ""), 1},
		"exact over 386":      {[]ocispec.Platform{p("linux", "386", "", ""), p("linux", "amd64", "", "")}, p("linux", "amd64", "", ""), 1},
		"no such":             {[]ocispec.Platform{p("linux", "s390x", "", ""), p("windows", "amd64", "", "")}, p("linux", "amd64", "", ""), -1},
		"attestation":         {[]ocispec.Platform{p("unknown", "unknown", "", "")}, p("linux", "amd64", "", ""), -1},
		"windows, highest":    {[]ocispec.Platform{p("windows", "amd64", "", "10.0.17763.5"), p("windows", "amd64", "", "10.0.26100.1"), p("windows", "amd64", "", "10.0.20348.99999")}, p("windows", "amd64", "", ""), 1},
		"windows, not newer":  {[]ocispec.Platform{p("windows", "amd64", "", "10.0.17763.5"), p("windows", "amd64", "", "10.0.26100.1"), p("windows", "amd64", "", "10.0.20348.99999")}, p("windows", "amd64", "", "10.0.20348"), 2},
		"windows, all newer":  {[]ocispec.Platform{p("windows", "amd64", "", "10.0.26100.1")}, p("windows", "amd64", "", "10.0.20348"), -1},
		"windows, no version": {[]ocispec.Platform{p("windows", "amd64", "", "")}, p("windows", "amd64", "", "10.0.20348"), 0},
		"windows, revision": {[]ocispec.Platform{p("windows", "amd64", "", "10.0.20348.999"), p("windows", "amd64", "", "10.0.20348.1006")},
			p("windows", "amd64", "", ""), 1},
	} {
		t.Run(name, func(t *testing.T) {
			var index ocispec.Index
			for i := range tc.have {
				index.Manifests = append(index.Manifests, ocispec.Descriptor{Platform: &tc.have[i]})
			}
			got := rankManifests(index, tc.want)
			if tc.best < 0 {
				if len(got) > 0 {
					t.Errorf("got %v", got[0].Platform)
				}
				return
			}
			if len(got) == 0 || got[0].Platform != &tc.have[tc.best] {
				t.Errorf("got %v, want %v first", got, tc.have[tc.best])
			}
		})
	}
}
