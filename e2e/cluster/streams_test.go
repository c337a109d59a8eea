package cluster

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testStreams: exec, attach, copying and forwarded ports, by kubectl.
func testStreams(t *testing.T) {
	p := apply(t, "streams", `
containers:
- {name: web, image: `+web+`}
- {name: cat, command: [cat], stdin: true, stdinOnce: true}
`)
	p.ready()
	out, errOut, code := p.execute("web", "to the container", "sh", "-c", "cat; echo aside >&2; exit 42")
	if out != "to the container" || errOut != "aside\n" || code != 42 {
		t.Errorf("exec: %q, %q, code %d", out, errOut, code)
	}
	// On a slow machine its size comes after it; until then busybox's stty fails, with whatever error came last.
	if got := terminal(t, p, "web", `until [ "$(stty size 2>/dev/null)" = "33 99" ] || [ $((n+=1)) -gt 300 ]; do sleep 0.1; done; stty size; tty`); !strings.Contains(got, "33 99\r\n") || !strings.Contains(got, "/dev/pts/") {
		t.Errorf("in a terminal: %q", got)
	}
	t.Run("attach", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		got, err := shared.RunKubectl(ctx, "through the container\n", "attach", "-i", p.name, "-c", "cat", "-q")
		if err != nil || got != "through the container\n" {
			t.Errorf("attach: %q, %v", got, err)
		}
	})
	t.Run("copy", func(t *testing.T) {
		from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
		content := bytes.Repeat([]byte("all kinds of bytes \x00\xff\r\n"), 50000)
		if err := os.WriteFile(from, content, 0o644); err != nil {
			t.Fatal(err)
		}
		kubectl(t, "cp", from, p.name+":/tmp/copy", "-c", "web")
		kubectl(t, "cp", p.name+":/tmp/copy", to, "-c", "web")
		if got := readFile(t, to); got != string(content) {
			t.Errorf("%d bytes came back changed, as %d", len(content), len(got))
		}
	})
	t.Run("forward", func(t *testing.T) {
		for range 2 { // what listens on the pod's localhost only
			if got := forwarded(t, p, 8081, "/"); got != "only on localhost\n" {
				t.Errorf("through the forwarded port: %q", got)
			}
		}
	})
}

// terminal runs a script in a terminal of 33 rows and 99 columns.
func terminal(t *testing.T, p *testPod, container, script string) string {
	t.Helper()
	req := shared.Client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(p.name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: []string{"sh", "-c", script}, Stdin: true, Stdout: true, TTY: true,
		}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(shared.Config, http.MethodPost, req.URL())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stdin, hold := io.Pipe()
	defer hold.Close()
	var out bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: stdin, Stdout: &out, Tty: true, TerminalSizeQueue: &oneSize{Width: 99, Height: 33},
	}); err != nil {
		t.Errorf("exec in a terminal: %v", err)
	}
	return out.String()
}

// oneSize tells a terminal's size once.
type oneSize remotecommand.TerminalSize

func (s *oneSize) Next() *remotecommand.TerminalSize {
	if s.Width == 0 {
		return nil
	}
	size := remotecommand.TerminalSize(*s)
	*s = oneSize{}
	return &size
}

// forwarded gets a path from a port of the pod's.
func forwarded(t *testing.T, p *testPod, port int, path string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := shared.Kubectl(ctx, "port-forward", p.name, fmt.Sprintf(":%d", port))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if addr == "" {
		t.Fatalf("kubectl port-forward: %q, %v", line, err)
	}
	got, err := getter("http://" + addr + path)()
	if err != nil {
		t.Errorf("through the forwarded port: %v", err)
	}
	return got
}

// logScript prints numbered lines: three times as many as have a log rotated, and
// after each time some more while it is, until it is told to go on.
const logScript = `
i=0
line() { echo line $i ------------------------------------------------------------; i=$((i+1)); }
while [ ! -e /go0 ]; do sleep 0.1; done
for n in 1 2 3; do
  until=$((i + %d)); while [ $i -lt $until ]; do line; done
  while [ ! -e /go$n ]; do line; sleep 0.1; done
done
echo the end
`

// testLogs: a log is followed across its rotations without a line lost or twice,
// and what was rotated is kept, compressed.
func testLogs(t *testing.T) {
	const burst = LogMaxSize / 100 // lines, which are longer in the log
	p := apply(t, "logs", fmt.Sprintf(`
restartPolicy: Never
containers:
- {name: c, command: [sh, -c, %q]}
`, fmt.Sprintf(logScript, burst)))
	p.await("runs", func(pod *corev1.Pod) bool { return pod.Status.Phase != corev1.PodPending })
	dir := filepath.Join(shared.podLogs(), fmt.Sprintf("%s_%s_%s", namespace, p.name, p.get().UID), "c")
	stream, err := shared.Client.CoreV1().Pods(namespace).GetLogs(p.name, &corev1.PodLogOptions{Follow: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var read atomic.Int64 // lines
	ended := make(chan error, 1)
	go func() { ended <- readLines(stream, &read) }()
	for n := range 3 {
		current := inode(t, dir+"/0.log")
		p.sh("c", fmt.Sprintf("touch /go%d", n))
		// Who follows is told of one rotation at a time: the next comes when this one's lines were read.
		eventually(t, "the log is rotated, and was read up to there", func() error {
			if got := read.Load(); inode(t, dir+"/0.log") == current || got < int64(n+1)*burst {
				return fmt.Errorf("%d lines, of %d for %d rotations", got, burst, n+1)
			}
			return nil
		})
	}
	p.sh("c", "touch /go3")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	p.phase(corev1.PodSucceeded)
	rotated, err := filepath.Glob(dir + "/0.log.*.gz")
	if err != nil || len(rotated) == 0 {
		t.Fatalf("no compressed part of the log in %s: %v", dir, err)
	}
	f, err := os.Open(rotated[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	part, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(part); err != nil || !bytes.Contains(b, []byte(" stdout F line ")) {
		t.Errorf("%s: %d bytes, %v", rotated[0], len(b), err)
	}
	if got := p.logs(corev1.PodLogOptions{TailLines: new(int64(1)), Timestamps: true}); !strings.HasSuffix(got, "Z the end\n") {
		t.Errorf("the last line: %q", got)
	}
}

// readLines wants the lines of logScript in their order, and counts them.
func readLines(stream io.Reader, read *atomic.Int64) error {
	scanner := bufio.NewScanner(stream)
	for scanner.Scan() && strings.HasPrefix(scanner.Text(), "line ") {
		if want := fmt.Sprintf("line %d -", read.Load()); !strings.HasPrefix(scanner.Text(), want) {
			return fmt.Errorf("line %q, want %q...", scanner.Text(), want)
		}
		read.Add(1)
	}
	if last := scanner.Text(); last != "the end" || scanner.Scan() || scanner.Err() != nil {
		return fmt.Errorf("after %d lines the log ends with %q, %v", read.Load(), scanner.Text(), scanner.Err())
	}
	return nil
}

func inode(t *testing.T, file string) uint64 {
	t.Helper()
	var st unix.Stat_t
	eventually(t, file, func() error { return unix.Stat(file, &st) }) // it is away while it is rotated
	return st.Ino
}

// testDebugContainer: kubectl debug adds a container to a running pod that sees
// the processes of the one it is for, and its files through them.
func testDebugContainer(t *testing.T) {
	p := apply(t, "debugged", `
containers:
- {name: target, command: [sh, -c, "echo secret > /tmp/of-the-target; exec sleep 1234"]}
- {name: other, command: [sleep, "4321"]}
`)
	p.ready()
	kubectl(t, "debug", p.name, "--image="+busybox, "--target=target", "--container=debugger", "--profile=general",
		"--", "sh", "-c", "ps; cat /proc/1/root/tmp/of-the-target; sleep 1000")
	p.await("the debugger runs", func(pod *corev1.Pod) bool { return container(pod, "debugger").State.Running != nil })
	p.logged(corev1.PodLogOptions{Container: "debugger"}, func(log string) bool {
		return strings.Contains(log, "sleep 1234") && strings.Contains(log, "\nsecret\n") && !strings.Contains(log, "sleep 4321")
	})
	if c := container(p.get(), "target"); c.RestartCount != 0 {
		t.Error("the target was restarted")
	}
}

// testHooks: postStart runs before the container counts as started, and preStop
// ends before SIGTERM comes, a hook that only sleeps too.
func testHooks(t *testing.T) {
	host := t.TempDir()
	p := apply(t, "hooks", `
terminationGracePeriodSeconds: 150
volumes: [{name: v, hostPath: {path: `+host+`}}]
containers:
- name: hooked
  command: [sh, -c, "trap 'date +%s.%N > /v/term; exit 0' TERM; while :; do sleep 0.1; done"]
  volumeMounts: [{name: v, mountPath: /v}]
  lifecycle:
    postStart: {exec: {command: [sh, -c, "echo yes > /v/started"]}}
    preStop: {exec: {command: [sh, -c, "date +%s.%N > /v/pre; sleep 1; date +%s.%N > /v/stop"]}}
- name: sleeper
  command: [sh, -c, "trap 'echo yes > /v/sleeper; exit 0' TERM; while :; do sleep 0.1; done"]
  volumeMounts: [{name: v, mountPath: /v}]
  lifecycle: {preStop: {sleep: {seconds: 3}}}
`)
	p.ready()
	if got := readFile(t, host+"/started"); got != "yes\n" {
		t.Errorf("postStart wrote %q", got)
	}
	began := time.Now()
	p.gone()
	if took := time.Since(began); took < 3*time.Second || took > 140*time.Second {
		t.Errorf("stopped after %v, want the 3 s of the longest hook, and less than the grace period", took)
	}
	pre, stop, term := readFile(t, host+"/pre"), readFile(t, host+"/stop"), readFile(t, host+"/term")
	if !(pre < stop && stop <= term) {
		t.Errorf("preStop from %q to %q, SIGTERM at %q", pre, stop, term)
	}
	if got := readFile(t, host+"/sleeper"); got != "yes\n" {
		t.Errorf("the sleeper's SIGTERM: %q", got)
	}
}
