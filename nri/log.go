package nri

import (
	"context"
	"fmt"
	"sync"

	nrilog "github.com/containerd/nri/pkg/log"
	"k8s.io/klog/v2"
)

// setLogger is for the whole process, as NRI's logger is.
var setLogger = sync.OnceFunc(func() { nrilog.Set(logger{}) })

// logger has NRI speak through klog.
type logger struct{}

func (logger) Debugf(_ context.Context, format string, args ...any) {
	if klog.V(4).Enabled() {
		klog.V(4).InfoS("NRI: " + fmt.Sprintf(format, args...))
	}
}

func (logger) Infof(_ context.Context, format string, args ...any) {
	if klog.V(2).Enabled() {
		klog.V(2).InfoS("NRI: " + fmt.Sprintf(format, args...))
	}
}

func (logger) Warnf(_ context.Context, format string, args ...any) {
	klog.InfoS("NRI: " + fmt.Sprintf(format, args...))
}

func (logger) Errorf(_ context.Context, format string, args ...any) {
	klog.ErrorS(nil, "NRI: "+fmt.Sprintf(format, args...))
}
