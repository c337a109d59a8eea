package criclient

import (
	"context"
	"fmt"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Accelerator is the one that Paddock's VMs have: "kvm" or "tcg".
func (c *Client) Accelerator(ctx context.Context) (string, error) {
	status, err := c.Runtime.Status(ctx, &runtimeapi.StatusRequest{Verbose: true})
	if err != nil {
		return "", err
	}
	for _, name := range []string{"kvm", "tcg"} {
		if strings.Contains(status.Info["backend"], `"`+name+`"`) {
			return name, nil
		}
	}
	return "", fmt.Errorf("the daemon tells of no accelerator that is known here: %s", status.Info["backend"])
}
