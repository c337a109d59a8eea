package admission

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/paddock-run/paddock/admission/carry"
)

const fullPod = `
metadata: {name: p, namespace: n}
spec:
  runtimeClassName: lcow
  securityContext:
    runAsUser: 1000
    runAsGroup: 1001
    runAsNonRoot: true
    fsGroup: 2000
    supplementalGroups: [3000]
    supplementalGroupsPolicy: Strict
    seccompProfile: {type: RuntimeDefault}
  initContainers:
  - {name: init, resources: {limits: {cpu: "2"}}}
  containers:
  - {name: plain, resources: {requests: {cpu: 100m}, limits: {cpu: "1"}}}
  - name: special
    securityContext:
      runAsUser: 0
      runAsNonRoot: false
      privileged: true
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      procMount: Unmasked
      capabilities: {add: [NET_ADMIN], drop: [ALL]}
      seccompProfile: {type: Localhost, localhostProfile: my/profile.json}
`

func readPod(t *testing.T, text string) *corev1.Pod {
	t.Helper()
	pod := new(corev1.Pod)
	if err := yaml.UnmarshalStrict([]byte(text), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func TestCarriedIsWhatKubeletWouldTell(t *testing.T) {
	plain := carry.Container{User: new(int64(1000)), Group: new(int64(1001)), NonRoot: true, Seccomp: carry.Seccomp{Type: "RuntimeDefault"}}
	init := plain
	init.CPURequest, plain.CPURequest = 2000, 100
	want := carry.Pod{
		Groups: []int64{3000, 2000}, StrictGroups: true,
		Containers: map[string]carry.Container{
			"init": init, "plain": plain,
			"special": {
				User: new(int64(0)), Group: new(int64(1001)), Privileged: true, NoNewPrivileges: true, ReadOnlyRoot: true, UnmaskedProc: true,
				AddCapabilities: []string{"NET_ADMIN"}, DropCapabilities: []string{"ALL"},
				Seccomp: carry.Seccomp{Type: "Localhost", File: "my/profile.json"},
			},
		},
	}
	if diff := cmp.Diff(want, carried(readPod(t, fullPod))); diff != "" {
		t.Error(diff)
	}
}

// TestReview: over HTTP, as the API server asks.
func TestReview(t *testing.T) {
	right, err := carry.Encode(carried(readPod(t, fullPod)))
	if err != nil {
		t.Fatal(err)
	}
	note := func(pod, annotations string) string {
		return pod[:len("\nmetadata: {name: p")] + ", annotations: {" + annotations + "}" + pod[len("\nmetadata: {name: p"):]
	}
	quoted, err := json.Marshal(right)
	if err != nil {
		t.Fatal(err)
	}
	other := "\nmetadata: {name: p}\nspec: {containers: [{name: c}]}"
	windows := "\nmetadata: {name: p}\nspec: {runtimeClassName: wcow, containers: [{name: c}]}"
	const path, handlerPath = "/metadata/annotations/paddock.dev~1linux-pod", "/metadata/annotations/paddock.dev~1runtime-handler"
	none := patchOp{"add", "/metadata/annotations", map[string]any{}}
	carries, linux, isWindows := patchOp{"add", path, right}, patchOp{"add", handlerPath, "lcow"}, patchOp{"add", handlerPath, "wcow"}
	server := Handler(Mutator{LinuxClasses: []string{"lcow", "linux-vm"}, WindowsClasses: []string{"wcow"}})
	for what, c := range map[string]struct {
		pod  string
		want []patchOp // nil: no patch
	}{
		"no annotations yet":        {fullPod, []patchOp{none, linux, carries}},
		"other annotations":         {note(fullPod, "a: b"), []patchOp{linux, carries}},
		"forged ones":               {note(fullPod, carry.Annotation+": forged, "+carry.HandlerAnnotation+": wcow"), []patchOp{linux, carries}},
		"the right ones":            {note(fullPod, carry.Annotation+": "+string(quoted)+", "+carry.HandlerAnnotation+": lcow"), nil},
		"another pod":               {other, nil},
		"another pod with a forged": {note(other, carry.Annotation+": forged"), []patchOp{{"remove", path, nil}}},
		"another runtime's handler": {note(other, carry.HandlerAnnotation+": other"), nil},
		"a Windows pod":             {windows, []patchOp{none, isWindows}},
		"a Windows pod with forged": {note(windows, carry.Annotation+": forged, "+carry.HandlerAnnotation+": lcow"), []patchOp{isWindows, {"remove", path, nil}}},
		"Windows by OS, not class":  {"\nmetadata: {name: p}\nspec: {os: {name: windows}, runtimeClassName: lcow, containers: [{name: c}]}", nil},
	} {
		raw, err := json.Marshal(readPod(t, c.pod))
		if err != nil {
			t.Fatal(err)
		}
		resp := ask(t, server, admissionv1.AdmissionReview{Request: &admissionv1.AdmissionRequest{
			UID: "u", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Object: runtime.RawExtension{Raw: raw},
		}})
		if !resp.Allowed || resp.UID != "u" {
			t.Errorf("%s: %+v", what, resp)
		}
		var got []patchOp
		if resp.Patch != nil {
			if err := json.Unmarshal(resp.Patch, &got); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func ask(t *testing.T, h http.Handler, review admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/pods", bytes.NewReader(body)))
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	return answer.Response
}

func TestMalformedReviews(t *testing.T) {
	server := Handler(Mutator{LinuxClasses: []string{"lcow"}})
	for body, want := range map[string]int{"": 400, "{}": 400, "[]": 400, `{"request":null}`: 400} {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/pods", bytes.NewReader([]byte(body))))
		if w.Code != want {
			t.Errorf("%q: status %d, want %d", body, w.Code, want)
		}
	}
	resp := ask(t, server, admissionv1.AdmissionReview{Request: &admissionv1.AdmissionRequest{
		Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Object: runtime.RawExtension{Raw: []byte(`{"spec":7}`)},
	}})
	if resp.Allowed || resp.Result == nil || resp.Result.Code != 400 {
		t.Errorf("a pod that cannot be read: %+v, want it refused", resp)
	}
}
