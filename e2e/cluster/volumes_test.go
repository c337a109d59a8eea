package cluster

import (
	"fmt"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testConfiguration: what a pod is told by configMaps, secrets, the downward API
// and its token arrives as files and variables; an update reaches the files.
func testConfiguration(t *testing.T) {
	configMaps := shared.Client.CoreV1().ConfigMaps(namespace)
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"colour": "red", "size": "1"}}
	if _, err := configMaps.Create(t.Context(), settings, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "password"}, StringData: map[string]string{"password": "open sesame"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := apply(t, "configured", `
volumes:
- {name: settings, configMap: {name: settings}}
- {name: password, secret: {secretName: password, defaultMode: 0400}}
- name: all
  projected:
    sources:
    - {configMap: {name: settings, items: [{key: colour, path: the/colour}]}}
    - {secret: {name: password}}
    - {serviceAccountToken: {path: token, audience: somebody, expirationSeconds: 600}}
    - downwardAPI:
        items:
        - {path: labels, fieldRef: {fieldPath: metadata.labels}}
        - {path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}
containers:
- name: c
  command: [sleep, "1000"]
  resources: {limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 10m}}
  envFrom: [{configMapRef: {name: settings}, prefix: SETTING_}]
  env:
  - {name: PASSWORD, valueFrom: {secretKeyRef: {name: password, key: password}}}
  - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
  - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
  - {name: COMPOSED, value: "$(SETTING_colour)-$(NODE)"}
  volumeMounts:
  - {name: settings, mountPath: /settings}
  - {name: settings, mountPath: /one/colour, subPath: colour}
  - {name: password, mountPath: /password}
  - {name: all, mountPath: /all}
`)
	pod := p.ready()
	for script, want := range map[string]string{
		"cat /settings/colour /one/colour /all/the/colour": "redredred",
		"cat /password/password /all/password":             "open sesameopen sesame",
		"stat -L -c %a /password/password":                 "400",
		"cat /all/labels /all/cpu":                         `app="configured"500`,
		"echo $SETTING_size $PASSWORD $POD_IP $NODE $MEMORY $COMPOSED": fmt.Sprintf(
			"1 open sesame %s %s %d red-%s", pod.Status.PodIP, NodeName, 64<<20, NodeName),
		"cat /etc/hostname": "configured",
		"touch /settings/x 2>&1 | grep -c 'Read-only file system'": "1",
	} {
		if got := p.sh("c", script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	// Who the tokens are for is asked of the API server.
	reviewToken(t, p.sh("c", "cat /all/token"), []string{"somebody"})
	reviewToken(t, p.sh("c", "cat /var/run/secrets/kubernetes.io/serviceaccount/token"), nil)

	settings.Data["colour"] = "blue"
	if _, err := configMaps.Update(t.Context(), settings, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the update reaches the container", func() error {
		// Whenever it is read, there is a file.
		if got := p.sh("c", "cat /settings/colour /all/the/colour"); got != "blueblue" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	if got := p.sh("c", "cat /one/colour"); got != "red" {
		t.Errorf("a subPath changed to %q: it never does", got)
	}
}

// reviewToken has the API server say whose a token is.
func reviewToken(t *testing.T, token string, audiences []string) {
	t.Helper()
	review, err := shared.Client.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + namespace + ":default"; !review.Status.Authenticated || review.Status.User.Username != want {
		t.Errorf("token for %v: %+v, want %s", audiences, review.Status, want)
	}
}

// testSharedVolumes: emptyDirs of both kinds and host paths, shared by
// containers, and parts of them.
func testSharedVolumes(t *testing.T) {
	host := t.TempDir()
	p := apply(t, "volumes", `
securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
volumes:
- {name: disk, emptyDir: {}}
- {name: memory, emptyDir: {medium: Memory, sizeLimit: 4Mi}}
- {name: host, hostPath: {path: `+host+`, type: Directory}}
containers:
- name: writer
  command: [sleep, "1000"]
  volumeMounts: [{name: disk, mountPath: /disk}, {name: memory, mountPath: /memory}]
- name: reader
  command: [sleep, "1000"]
  env: [{name: WHO, value: me}]
  volumeMounts:
  - {name: disk, mountPath: /part, subPath: part}
  - {name: disk, mountPath: /mine, subPathExpr: of-$(WHO)}
  - {name: memory, mountPath: /memory, readOnly: true}
- name: root
  command: [sleep, "1000"]
  securityContext: {runAsUser: 0}
  volumeMounts: [{name: host, mountPath: /host}]
`)
	p.ready()
	p.sh("writer", "echo shared > /disk/part/file && echo quick > /memory/file")
	p.sh("root", "echo to the node > /host/file")
	for container, checks := range map[string]map[string]string{
		"writer": {
			"stat -c %g:%a /disk": "2000:2777",
			"ls /disk":            "of-me\npart",
			"df -m /memory | tail -n 1 | awk '{print $2}'":                                "4",
			"dd if=/dev/zero of=/memory/big bs=1M count=8 2>&1 | grep -c 'No space left'": "1",
		},
		"reader": {
			"cat /part/file /memory/file":                            "shared\nquick",
			"touch /mine/x && echo yes":                              "yes",
			"touch /memory/x 2>&1 | grep -c 'Read-only file system'": "1",
		},
	} {
		for script, want := range checks {
			if got := p.sh(container, script); got != want {
				t.Errorf("%s: %s: %q, want %q", container, script, got, want)
			}
		}
	}
	if got := strings.TrimSpace(readFile(t, host+"/file")); got != "to the node" {
		t.Errorf("the host path has %q", got)
	}
}
