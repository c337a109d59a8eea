package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func newPods(configPath *string) *cobra.Command {
	return newListing("pods", "List pods and their containers", configPath, listPods)
}

func listPods(ctx context.Context, conn *grpc.ClientConn, out io.Writer) error {
	client := runtime.NewRuntimeServiceClient(conn)
	pods, err := client.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		return daemonError("list pods", err)
	}
	containers, err := client.ListContainers(ctx, &runtime.ListContainersRequest{})
	if err != nil {
		return daemonError("list containers", err)
	}
	byPod := map[string][]*runtime.Container{}
	for _, c := range containers.Containers {
		byPod[c.PodSandboxId] = append(byPod[c.PodSandboxId], c)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POD\tNAMESPACE\tNAME\tHANDLER\tSTATE\tAGE\tCONTAINERS")
	for _, p := range pods.Items {
		m := p.GetMetadata()
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", shortID(p.Id), m.GetNamespace(), m.GetName(), p.RuntimeHandler,
			p.State.String()[len("SANDBOX_"):], age(p.CreatedAt), len(byPod[p.Id]))
		for _, c := range byPod[p.Id] {
			fmt.Fprintf(w, "  %s\t\t  %s\t\t%s\t%s\t%s\n", shortID(c.Id), c.GetMetadata().GetName(),
				c.State.String()[len("CONTAINER_"):], age(c.CreatedAt), c.GetImage().GetUserSpecifiedImage())
		}
	}
	return w.Flush()
}

func shortID(id string) string {
	if len(id) > 13 {
		return id[:13]
	}
	return id
}

func age(unixNanos int64) string {
	return time.Since(time.Unix(0, unixNanos)).Round(time.Second).String()
}
