package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func newImages(configPath *string) *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "List images",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := dialDaemon(*configPath)
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			return listImages(ctx, runtime.NewImageServiceClient(conn), cmd.OutOrStdout())
		},
	}
}

func listImages(ctx context.Context, client runtime.ImageServiceClient, out io.Writer) error {
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
