package conformance

import (
	"fmt"
	"strings"
)

// Exception is a spec that fails, and is meant to or known to.
type Exception struct {
	// Spec is how its name ends.
	Spec string
	Why  string
	// Instead is what the user gets.
	Instead string
}

// Exceptions are all of them; docs/conformance.md has the same list. A run
// fails on any other failure, and when one of these passes.
var Exceptions = []Exception{
	{
		Spec:    "runtime should support HostIpc is true",
		Why:     "a System V segment made by a process on the node belongs to the node's kernel, and the pod has its own",
		Instead: "hostIPC is accepted; the pod's containers share the IPC namespace of its VM",
	},
}

func exception(spec string) *Exception {
	for i := range Exceptions {
		if strings.HasSuffix(spec, Exceptions[i].Spec) {
			return &Exceptions[i]
		}
	}
	return nil
}

// Verdict is nil when the specs that failed are the exceptions. whole says that
// the run was not limited to some specs: then each exception must have been among them.
func (r *Report) Verdict(whole bool) error {
	var bad []string
	seen := map[*Exception]bool{}
	for _, spec := range r.Failed {
		if e := exception(spec); e != nil {
			seen[e] = true
			continue
		}
		bad = append(bad, "failed: "+spec)
	}
	for _, spec := range r.Passed {
		if e := exception(spec); e != nil {
			seen[e] = true
			bad = append(bad, "passes, and is listed as an exception (take it out of e2e/conformance/exceptions.go and docs/conformance.md): "+spec)
		}
	}
	for i := range Exceptions {
		if whole && !seen[&Exceptions[i]] {
			bad = append(bad, "listed as an exception and did not run: "+Exceptions[i].Spec)
		}
	}
	if len(r.Passed)+len(r.Failed)+len(r.Skipped) == 0 {
		bad = append(bad, "no spec ran")
	}
	if len(bad) > 0 {
		return fmt.Errorf("%d specs are not as expected:\n  %s", len(bad), strings.Join(bad, "\n  "))
	}
	return nil
}

// ExceptionsTable is the list for people, in Markdown.
func ExceptionsTable() string {
	var b strings.Builder
	b.WriteString("| spec | why | what the user gets |\n|---|---|---|\n")
	for _, e := range Exceptions {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e.Spec, e.Why, e.Instead)
	}
	return b.String()
}
