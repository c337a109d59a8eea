package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"sigs.k8s.io/yaml"
)

// namespace is where tests make their things.
const namespace = "default"

// patience bounds one wait of a test, generously: guests are emulated where
// there is no hardware virtualisation, and tests run side by side.
const patience = 5 * time.Minute

// decode reads a manifest strictly.
func decode[T any](t *testing.T, manifest string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
		t.Fatalf("manifest: %v\n%s", err, manifest)
	}
	return obj
}

// testPod is a pod of a test's, deleted with it.
type testPod struct {
	t    *testing.T
	name string
}

// apply makes a pod of a manifest's spec, under a name, and deletes it with the test. Its
// containers run busybox unless they say otherwise.
func apply(t *testing.T, name, spec string) *testPod {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}}
	pod.Spec = *decode[corev1.PodSpec](t, spec)
	return create(t, pod)
}

func create(t *testing.T, pod *corev1.Pod) *testPod {
	t.Helper()
	s := &pod.Spec
	s.DNSPolicy = corev1.DNSDefault
	if s.RuntimeClassName == nil {
		s.RuntimeClassName = new("lcow")
	}
	if s.TerminationGracePeriodSeconds == nil {
		s.TerminationGracePeriodSeconds = new(int64(1)) // shells do not hear SIGTERM
	}
	for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range list {
			if list[i].Image == "" {
				list[i].Image = busybox
			}
		}
	}
	if _, err := shared.Client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create pod %s: %v", pod.Name, err)
	}
	p := &testPod{t, pod.Name}
	t.Cleanup(p.forget)
	return p
}

// forget deletes the pod if the test has not, and does not wait for it.
func (p *testPod) forget() {
	err := shared.Client.CoreV1().Pods(namespace).Delete(context.Background(), p.name, metav1.DeleteOptions{})
	if err != nil && p.t.Failed() {
		p.t.Logf("delete pod %s: %v", p.name, err)
	}
}

// get reads the pod as it is.
func (p *testPod) get() *corev1.Pod {
	p.t.Helper()
	pod, err := shared.Client.CoreV1().Pods(namespace).Get(p.t.Context(), p.name, metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return pod
}

// await waits until the pod is as it should be.
func (p *testPod) await(what string, is func(*corev1.Pod) bool) *corev1.Pod {
	p.t.Helper()
	var pod *corev1.Pod
	eventually(p.t, p.name+": "+what, func() error {
		if pod = p.get(); is(pod) {
			return nil
		}
		return fmt.Errorf("%s\n%s", statusOf(pod), p.events())
	})
	return pod
}

// ready waits until the pod is ready.
func (p *testPod) ready() *corev1.Pod {
	p.t.Helper()
	return p.await("is ready", func(pod *corev1.Pod) bool {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady {
				return c.Status == corev1.ConditionTrue
			}
		}
		return false
	})
}

// phase waits until the pod is in a phase.
func (p *testPod) phase(want corev1.PodPhase) *corev1.Pod {
	p.t.Helper()
	return p.await("is "+string(want), func(pod *corev1.Pod) bool { return pod.Status.Phase == want })
}

// gone deletes the pod and waits until it is gone.
func (p *testPod) gone() {
	p.t.Helper()
	pods := shared.Client.CoreV1().Pods(namespace)
	if err := pods.Delete(p.t.Context(), p.name, metav1.DeleteOptions{}); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, p.name+" is gone", func() error {
		pod, err := pods.Get(p.t.Context(), p.name, metav1.GetOptions{})
		if err != nil {
			return nil
		}
		return errors.New(statusOf(pod))
	})
}

// container is the status of one of the pod's containers, whatever its kind.
func container(pod *corev1.Pod, name string) corev1.ContainerStatus {
	s := &pod.Status
	for _, list := range [][]corev1.ContainerStatus{s.ContainerStatuses, s.InitContainerStatuses, s.EphemeralContainerStatuses} {
		for _, c := range list {
			if c.Name == name {
				return c
			}
		}
	}
	return corev1.ContainerStatus{}
}

func statusOf(pod *corev1.Pod) string {
	b, err := yaml.Marshal(pod.Status)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// events is what was said about the pod.
func (p *testPod) events() string {
	list, err := shared.Client.CoreV1().Events(namespace).List(context.Background(), metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + p.name,
	})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, e := range list.Items {
		fmt.Fprintf(&b, "event %s: %s\n", e.Reason, e.Message)
	}
	return b.String()
}

// execute runs a command in a container, and returns what it printed and its exit code.
func (p *testPod) execute(container, stdin string, command ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	stdout, stderr, code, err := p.tryExecute(container, stdin, command...)
	if err != nil {
		p.t.Fatalf("exec %q in %s/%s: %v %s", command, p.name, container, err, stderr)
	}
	return stdout, stderr, code
}

func (p *testPod) tryExecute(container, stdin string, command ...string) (stdout, stderr string, code int, err error) {
	p.t.Helper()
	req := shared.Client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(p.name).
		SubResource("exec").VersionedParams(&corev1.PodExecOptions{
		Container: container, Command: command, Stdin: stdin != "", Stdout: true, Stderr: true,
	}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(shared.Config, "GET", req.URL().String())
	if err != nil {
		p.t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	streams := remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut}
	if stdin != "" {
		streams.Stdin = strings.NewReader(stdin)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	err = executor.StreamWithContext(ctx, streams)
	var exit utilexec.ExitError
	if errors.As(err, &exit) {
		return out.String(), errOut.String(), exit.ExitStatus(), nil
	}
	return out.String(), errOut.String(), 0, err
}

// sh runs a shell script in a container, which must succeed, and returns its stdout without the last line's end.
func (p *testPod) sh(container, script string) string {
	p.t.Helper()
	out, errOut, code := p.execute(container, "", "/bin/sh", "-c", script)
	if code != 0 {
		p.t.Fatalf("%s in %s/%s: exit code %d: %s%s", script, p.name, container, code, out, errOut)
	}
	return strings.TrimRight(out, "\n")
}

// logs reads a container's log.
func (p *testPod) logs(opts corev1.PodLogOptions) string {
	p.t.Helper()
	text, err := p.tryLogs(opts)
	if err != nil {
		p.t.Fatalf("logs of %s/%s: %v", p.name, opts.Container, err)
	}
	return text
}

func (p *testPod) tryLogs(opts corev1.PodLogOptions) (string, error) {
	text, err := shared.Client.CoreV1().Pods(namespace).GetLogs(p.name, &opts).DoRaw(p.t.Context())
	return string(text), err
}

// logged waits until a container's log is as it should be.
func (p *testPod) logged(opts corev1.PodLogOptions, is func(log string) bool) {
	p.t.Helper()
	eventually(p.t, "the log of "+p.name, func() error {
		text, err := p.tryLogs(opts)
		if err == nil && !is(text) {
			err = fmt.Errorf("%q", text)
		}
		return err
	})
}

// kubectl runs kubectl, which must succeed, and returns what it printed without the last line's end.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := shared.RunKubectl(ctx, "", args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimRight(out, "\n")
}

// eventually waits until f succeeds; what it last said is told otherwise.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
