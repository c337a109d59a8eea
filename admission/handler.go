package admission

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// maxReview bounds a review: the API server takes objects of 3 MiB, and an update's review has two.
const maxReview = 8 << 20

// Handler answers the API server's reviews at /pods, and /healthz.
func Handler(m Mutator) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /pods", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
			http.Error(w, fmt.Sprintf("not an AdmissionReview of admission.k8s.io/v1: %v", err), http.StatusBadRequest)
			return
		}
		review.Response = m.review(review.Request)
		klog.FromContext(r.Context()).V(2).Info("Reviewed", "operation", review.Request.Operation,
			"pod", klog.KRef(review.Request.Namespace, review.Request.Name), "patched", review.Response.Patch != nil, "allowed", review.Response.Allowed)
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&review) // a client that has gone
	})
	return mux
}

// review answers one request. A pod that cannot be read is refused: it would run without what its spec says.
func (m Mutator) review(req *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	resp := &admissionv1.AdmissionResponse{UID: req.UID, Allowed: true}
	if req.Kind.Group != "" || req.Kind.Kind != "Pod" {
		return resp
	}
	var pod corev1.Pod
	err := json.Unmarshal(req.Object.Raw, &pod)
	if err == nil {
		resp.Patch, err = m.Patch(&pod)
	}
	if err != nil {
		resp.Allowed = false
		resp.Result = &metav1.Status{Code: http.StatusBadRequest, Message: err.Error()}
		return resp
	}
	if resp.Patch != nil {
		kind := admissionv1.PatchTypeJSONPatch
		resp.PatchType = &kind
	}
	return resp
}
