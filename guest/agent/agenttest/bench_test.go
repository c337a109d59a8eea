//go:build linux

package agenttest

import (
	"testing"

	"github.com/paddock-run/paddock/guest/api"
)

// BenchmarkContainer measures create, start, wait and delete, one after the other.
func BenchmarkContainer(b *testing.B) {
	_, c := Pod(b)
	Start(b, c, Request("holder", "sleep 100000")) // keeps the layers mounted, as a pod's first container does
	for _, step := range []string{"create", "start", "exec"} {
		b.Run(step, func(b *testing.B) {
			for i := range b.N {
				id := "b" + itoa(i)
				if step != "create" {
					b.StopTimer()
				}
				if _, err := c.CreateContainer(Context(b), Request(id, "sleep 100000")); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if step == "start" {
					b.StartTimer()
				}
				if _, err := c.StartContainer(Context(b), &api.StartContainerRequest{Id: id}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if step == "exec" {
					b.StartTimer()
					if _, err := c.Exec(Context(b), &api.ExecRequest{ContainerId: id, ExecId: "e", Process: process("true")}); err != nil {
						b.Fatal(err)
					}
					Wait(b, c, id, "e")
					b.StopTimer()
				}
				Delete(b, c, id)
				b.StartTimer()
			}
		})
	}
}
