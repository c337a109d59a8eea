package cri

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"
)

// Verbosity of a call's log line.
const (
	verbosityChange = 2 // calls that change something
	verbosityRead   = 5 // what kubelet asks for all the time
)

// unaryInterceptor recovers, maps errors and logs one call.
func unaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, recovered(ctx, info.FullMethod, p)
		}
		err = toWire(err)
		logCall(ctx, info.FullMethod, req, time.Since(start), err)
	}()
	return handler(ctx, req)
}

// streamInterceptor does the same for a streaming call.
func streamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	start := time.Now()
	ctx := stream.Context()
	defer func() {
		if p := recover(); p != nil {
			err = recovered(ctx, info.FullMethod, p)
		}
		err = toWire(err)
		logCall(ctx, info.FullMethod, nil, time.Since(start), err)
	}()
	return handler(srv, stream)
}

// toWire maps err unless it is a status of gRPC's own (a message that does not parse).
func toWire(err error) error {
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok && codeOf(err) == status.Code(err) {
		return err
	}
	return toStatus(err)
}

// recovered logs a panic with its stack and makes an error of it.
func recovered(ctx context.Context, method string, p any) error {
	klog.FromContext(ctx).Error(nil, "Panic in a CRI call", "method", method, "panic", p, "stack", string(debug.Stack()))
	return errorf(codes.Internal, "%s failed unexpectedly: %v", method, p)
}

// logCall writes one line. Requests hold secrets (env, credentials): only ids and names are logged.
func logCall(ctx context.Context, method string, req any, took time.Duration, err error) {
	log := klog.FromContext(ctx)
	method = method[strings.LastIndexByte(method, '/')+1:]
	level := verbosityChange
	if isRead(method) {
		level = verbosityRead
	}
	switch code := status.Code(err); code {
	case codes.OK:
		if v := log.V(level); v.Enabled() {
			v.Info("CRI call", append(subject(req), "method", method, "duration", took)...)
		}
	case codes.NotFound, codes.Canceled, codes.Unimplemented:
		log.V(verbosityChange).Info("CRI call failed", append(subject(req), "method", method, "duration", took, "code", code, "err", err)...)
	default:
		log.Error(err, "CRI call failed", append(subject(req), "method", method, "duration", took, "code", code)...)
	}
}

func isRead(method string) bool {
	return strings.HasPrefix(method, "List") || strings.HasPrefix(method, "Stream") ||
		strings.HasSuffix(method, "Status") || strings.HasSuffix(method, "Stats") ||
		method == "Version" || method == "ImageFsInfo" || method == "RuntimeConfig"
}

// subject tells what a request is about, as log keys and values.
func subject(req any) []any {
	var kv []any
	if r, ok := req.(interface{ GetPodSandboxId() string }); ok {
		kv = append(kv, "sandbox", r.GetPodSandboxId())
	}
	if r, ok := req.(interface{ GetContainerId() string }); ok {
		kv = append(kv, "container", r.GetContainerId())
	}
	if r, ok := req.(interface{ GetImage() *runtimeapi.ImageSpec }); ok {
		kv = append(kv, "image", r.GetImage().GetImage())
	}
	switch r := req.(type) {
	case *runtimeapi.RunPodSandboxRequest:
		m := r.GetConfig().GetMetadata()
		kv = append(kv, "pod", klog.KRef(m.GetNamespace(), m.GetName()), "uid", m.GetUid())
	case *runtimeapi.CreateContainerRequest:
		kv = append(kv, "name", r.GetConfig().GetMetadata().GetName())
	}
	return kv
}
