package conformance

import (
	"os"
	"strings"
	"testing"
)

func allExceptions() []string {
	var specs []string
	for _, e := range Exceptions {
		specs = append(specs, "[k8s.io] Some Context "+e.Spec)
	}
	return specs
}

func TestVerdict(t *testing.T) {
	known := allExceptions()
	for _, c := range []struct {
		name   string
		report Report
		whole  bool
		want   string // "" for none
	}{
		{"as listed", Report{Passed: []string{"other"}, Failed: known}, true, ""},
		{"one more fails", Report{Failed: append([]string{"[k8s.io] new failure"}, known...)}, true, "failed: [k8s.io] new failure"},
		{"an exception passes", Report{Passed: known[:1], Failed: known[1:]}, true, "passes, and is listed"},
		{"an exception passes in a part", Report{Passed: known[:1]}, false, "passes, and is listed"},
		{"an exception is gone", Report{Failed: known[1:]}, true, "did not run"},
		{"a part without exceptions", Report{Passed: []string{"other"}}, false, ""},
		{"nothing ran", Report{Excluded: known}, false, "no spec ran"},
	} {
		err := c.report.Verdict(c.whole)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestExceptionsAreDocumented keeps docs/conformance.md to the list.
func TestExceptionsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(doc), "<!-- exceptions:begin -->")
	table, _, ended := strings.Cut(table, "<!-- exceptions:end -->")
	if !found || !ended {
		t.Fatal("docs/conformance.md has no marked table of exceptions")
	}
	if got, want := strings.TrimSpace(table), strings.TrimSpace(ExceptionsTable()); got != want {
		t.Errorf("docs/conformance.md lists\n%s\nand exceptions.go\n%s", got, want)
	}
}
