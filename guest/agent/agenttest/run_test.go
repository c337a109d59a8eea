//go:build linux

package agenttest

import (
	"testing"
)

func TestRun(t *testing.T) {
	_, c := Pod(t)
	out, errs, exit := Run(t, c, Request("c1", "cat /etc/layer; hostname; echo err >&2; exit 7"))
	if out != "top\npod\n" || errs != "err\n" || exit.Code != 7 {
		t.Fatalf("stdout %q, stderr %q, exit %v", out, errs, exit)
	}
}
