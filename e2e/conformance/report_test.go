package conformance

import "testing"

func TestParseReport(t *testing.T) {
	r, err := parseReport([]byte(`<?xml version="1.0"?><testsuites><testsuite>
<testcase name="[SynchronizedBeforeSuite]" status="passed"/>
<testcase name="[It] [k8s.io] PodSandbox runs" status="passed"/>
<testcase name="[It] [k8s.io] PodSandbox stops" status="failed"><failure message="x"/></testcase>
<testcase name="[It] [k8s.io] PodSandbox panics" status="panicked"><error message="x"/></testcase>
<testcase name="[It] [k8s.io] AppArmor" status="skipped"><skipped message="skipped - no AppArmor"/></testcase>
<testcase name="[It] [k8s.io] benchmark" status="skipped"><skipped message="skipped"/></testcase>
</testsuite></testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Summary(), "1 passed, 2 failed, 1 skipped, 1 excluded, 0s"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	if _, err := parseReport([]byte("not xml")); err == nil {
		t.Error("a broken report was read")
	}
}
