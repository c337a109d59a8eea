package cluster

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// BenchmarkApplyToRunning is from the start of `kubectl apply` until the API
// server says that the pod runs, its image being on the node. It reports the
// median: make cluster CLUSTERFLAGS="-test.run=^$ -test.bench=. -test.benchtime=5x".
func BenchmarkApplyToRunning(b *testing.B) {
	var took []time.Duration
	for i := range b.N {
		took = append(took, applyToRunning(b, fmt.Sprintf("bench-%d-%d", b.N, i)))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms-median")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "ms-max")
	b.ReportMetric(0, "ns/op")
}

func applyToRunning(b *testing.B, name string) time.Duration {
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	pods := shared.Client.CoreV1().Pods(namespace)
	events, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		b.Fatal(err)
	}
	defer events.Stop()
	began := time.Now()
	manifest := fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {runtimeClassName: lcow, dnsPolicy: Default, terminationGracePeriodSeconds: 1, containers: [{name: c, image: %s, command: [sleep, "1000"]}]}}`, name, busybox)
	if _, err := shared.RunKubectl(ctx, manifest, "apply", "-f", "-"); err != nil {
		b.Fatal(err)
	}
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if event.Type == watch.Error || !ok || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		took := time.Since(began)
		if err := pods.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			b.Fatal(err)
		}
		calmDown(b, name)
		return took
	}
	b.Fatalf("%s did not run within %v", name, patience)
	return 0
}

// calmDown waits until a pod is gone, and the node has calmed down.
func calmDown(b *testing.B, name string) {
	for {
		if _, err := shared.Client.CoreV1().Pods(namespace).Get(b.Context(), name, metav1.GetOptions{}); err != nil {
			time.Sleep(time.Second)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
