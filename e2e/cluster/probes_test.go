package cluster

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// testProbes: each kind of readiness probe follows the container's health, and a
// failing liveness probe restarts it.
func testProbes(t *testing.T) {
	probes := map[string]string{
		"http": "httpGet: {path: /healthz, port: 8081}",
		"tcp":  "tcpSocket: {port: 7082}",
		"grpc": "grpc: {port: 9083}",
		"exec": `exec: {command: [wget, -q, -O, /dev/null, "http://127.0.0.1:8084/healthz"]}`,
	}
	spec := "containers:\n"
	kinds := []string{"http", "tcp", "grpc", "exec"}
	for i, kind := range kinds {
		spec += fmt.Sprintf(`
- name: %s
  image: %s
  args: [-http=:808%d, -tcp=:708%d, -grpc=:908%d]
  readinessProbe: {%s, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 30}
`, kind, healthy, i+1, i+1, i+1, probes[kind])
	}
	p := apply(t, "probes", spec+`
- name: live
  command: [sh, -c, "touch /tmp/live; sleep 1000"]
  startupProbe: {exec: {command: [test, -e, /tmp/live]}, periodSeconds: 1, timeoutSeconds: 30, failureThreshold: 60}
  livenessProbe: {exec: {command: [test, -e, /tmp/live]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 30}
`)
	p.ready()
	p.sh("live", "rm /tmp/live")
	for i, kind := range kinds {
		p.sh(kind, fmt.Sprintf("wget -q -O - 'http://127.0.0.1:808%d/set?healthy=false'", i+1))
	}
	p.await("no probe of readiness succeeds", func(pod *corev1.Pod) bool {
		for _, kind := range kinds {
			if container(pod, kind).Ready {
				return false
			}
		}
		return true
	})
	for i, kind := range kinds {
		p.sh(kind, fmt.Sprintf("wget -q -O - 'http://127.0.0.1:808%d/set?healthy=true'", i+1))
	}
	p.await("the liveness probe has restarted its container, the others are ready", func(pod *corev1.Pod) bool {
		for _, kind := range kinds {
			if c := container(pod, kind); !c.Ready || c.RestartCount != 0 {
				return false
			}
		}
		return container(pod, "live").RestartCount == 1 && container(pod, "live").Ready
	})
}
