package imageservice

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func classified(err error) bool {
	return err == nil || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported)
}

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"`+someDigest+`","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"`+someDigest+`","size":1}]}`),
		[]byte(`{"os":"linux","rootfs":{"diff_ids":["`+someDigest+`"]}}`))
	f.Add([]byte(`{"config":{"digest":"../../x","size":-1}}`), []byte(`{"rootfs":{"diff_ids":["sha256:../../../etc"]}}`))
	f.Add([]byte(`{}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		m, err := parseManifest(manifest)
		if !classified(err) {
			t.Fatalf("manifest: %v", err)
		}
		if err != nil {
			return
		}
		img, err := parseConfig(config, m)
		if !classified(err) {
			t.Fatalf("config: %v", err)
		}
		if err == nil {
			for _, id := range img.RootFS.DiffIDs {
				if strings.ContainsAny(id.Encoded(), "/.") {
					t.Fatalf("diff id %q would leave the layers' folder", id)
				}
			}
			runsOn(img.Platform, linuxAMD64)
		}
	})
}

func FuzzIndex(f *testing.F) {
	idx, _ := json.Marshal(ocispec.Index{Manifests: []ocispec.Descriptor{{Digest: someDigest, Size: 3, Platform: &windowsAMD64}}})
	f.Add(idx)
	f.Add([]byte(`{"manifests":[{"digest":"","size":9223372036854775807}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		index, err := parseIndex(b)
		if !classified(err) {
			t.Fatalf("index: %v", err)
		}
		if err == nil {
			rankManifests(index, linuxAMD64)
			rankManifests(index, windowsAMD64)
			platformNames(index)
			unlabelled(index)
		}
	})
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"busybox", "a/b:c@" + someDigest, someDigest, "[::1]:5000/x", "..", "a//b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		named, err := parseReference(s)
		if err != nil {
			if !errors.Is(err, ErrInvalidReference) {
				t.Fatal(err)
			}
			return
		}
		again, err := parseReference(named.String())
		if err != nil || again.String() != named.String() {
			t.Fatalf("%q is %q, and that %v, %v", s, named, again, err)
		}
	})
}
