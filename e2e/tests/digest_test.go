package tests

import (
	"context"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestImageByDigest is what Kubernetes' validation suite does with an image
// that cannot be rebuilt to its digest.
func TestImageByDigest(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	images := env.client.Images
	status := func(ref string) *runtimeapi.Image {
		t.Helper()
		resp, err := images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetImage()
	}
	remove := func(ref string) {
		t.Helper()
		if _, err := images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}}); err != nil {
			t.Fatal(err)
		}
		delete(pulled, layered)
	}
	crictlOut(t, "pull", layered)
	tagged := status(layered)
	if len(tagged.GetRepoDigests()) != 1 {
		t.Fatalf("repo digests %v, want one", tagged.GetRepoDigests())
	}
	ref := tagged.RepoDigests[0]
	remove(layered)
	crictlOut(t, "pull", ref)
	byDigest := status(ref)
	if byDigest.GetId() != tagged.Id || len(byDigest.GetRepoTags()) != 0 || len(byDigest.GetRepoDigests()) != 1 || byDigest.RepoDigests[0] != ref {
		t.Errorf("pulled by digest: %v; want id %s, no tag, digest %s", byDigest, tagged.Id, ref)
	}
	remove(ref)
	if image := status(ref); image != nil {
		t.Errorf("still there after its removal: %v", image)
	}
}
