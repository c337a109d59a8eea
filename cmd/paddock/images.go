package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func newImages(configPath *string) *cobra.Command {
	return newListing("images", "List images", configPath, listImages)
}

func listImages(ctx context.Context, conn *grpc.ClientConn, out io.Writer) error {
	client := runtime.NewImageServiceClient(conn)
	images, err := client.ListImages(ctx, &runtime.ListImagesRequest{})
	if err != nil {
		return daemonError("list images", err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tSIZE\tPINNED\tREFERENCES")
	for _, i := range images.Images {
		refs := append(append([]string(nil), i.RepoTags...), i.RepoDigests...)
		fmt.Fprintf(w, "%s\t%.1f MB\t%t\t%s\n", shortID(strings.TrimPrefix(i.Id, "sha256:")), float64(i.Size)/1e6, i.Pinned, strings.Join(refs, " "))
	}
	return w.Flush()
}
