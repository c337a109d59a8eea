package nri

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/podsandbox"
)

// runtimeName is what plugins are told that they are connected to.
const runtimeName = "paddock"

// Runtime is what plugins act on. podsandbox.Manager implements it.
type Runtime interface {
	Sandboxes() []podsandbox.SandboxStatus
	Containers() []podsandbox.ContainerStatus
	Container(id string) (podsandbox.ContainerStatus, error)
	SetLimits(ctx context.Context, id string, r podsandbox.Resources) error
	StopContainer(ctx context.Context, id string, grace time.Duration) error
}

// Adapter connects plugins. It implements podsandbox.Hooks.
type Adapter struct {
	nri *adaptation.Adaptation
	// plugins is how many there are, NRI's own validator included.
	plugins atomic.Int64

	life       context.Context
	end        context.CancelFunc
	background sync.WaitGroup

	runtime Runtime // set by Start, before there are plugins

	mu     sync.Mutex
	ledger ledger
	// starting is set while Start holds mu and NRI calls back; afterSync are what plugins asked for then.
	starting  bool
	afterSync []*api.ContainerUpdate
}

var _ podsandbox.Hooks = (*Adapter)(nil)

// New makes an Adapter without plugins. Start lets them in.
func New(cfg Config) (*Adapter, error) {
	a := &Adapter{ledger: newLedger()}
	a.life, a.end = context.WithCancel(context.Background())
	setLogger()
	adaptation.SetPluginRegistrationTimeout(cfg.RegistrationTimeout)
	adaptation.SetPluginRequestTimeout(cfg.RequestTimeout)
	options := []adaptation.Option{
		adaptation.WithPluginPath(cfg.PluginDir),
		adaptation.WithPluginConfigPath(cfg.PluginConfigDir),
		adaptation.WithMetrics(counter{a}),
		adaptation.WithTTRPCOptions(
			[]ttrpc.ClientOpts{ttrpc.WithUnaryClientInterceptor(a.seeAnswer)},
			[]ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(a.seeRequest)},
		),
		adaptation.WithDefaultValidator(&cfg.Validator),
	}
	if cfg.Socket == "" {
		options = append(options, adaptation.WithDisabledExternalConnections())
	} else {
		options = append(options, adaptation.WithSocketPath(cfg.Socket))
	}
	var err error
	if a.nri, err = adaptation.New(runtimeName, cfg.Version, a.synchronize, a.update, options...); err != nil {
		return nil, fmt.Errorf("NRI: %w", err)
	}
	return a, nil
}

// Start launches the plugins of the plugin folder, tells them what there is, and lets others
// connect. Call it before the runtime is given work.
func (a *Adapter) Start(rt Runtime) error {
	err := a.start(rt)
	if err != nil {
		return fmt.Errorf("NRI: %w; set nri.enable to false to serve without plugins", err)
	}
	a.apply(a.life, a.afterSync)
	a.afterSync = nil
	return nil
}

func (a *Adapter) start(rt Runtime) error {
	defer a.begin()() // and so nobody who connects is synchronized before it ends
	a.runtime = rt
	a.ledger.fill(rt.Sandboxes(), rt.Containers())
	a.starting = true
	defer func() { a.starting = false }()
	return a.nri.Start()
}

// Close ends the plugins that were launched and takes no more connections.
func (a *Adapter) Close() error {
	a.end()
	a.nri.Stop()
	a.background.Wait()
	return nil
}

// begin is the start of one hook: no plugin joins until it ends, no other hook runs.
func (a *Adapter) begin() (end func()) {
	block := a.nri.BlockPluginSync()
	a.mu.Lock()
	return func() {
		a.mu.Unlock()
		block.Unblock()
	}
}

// idle tells that nobody listens.
func (a *Adapter) idle() bool { return a.plugins.Load() == 0 }

// counter is NRI's way to say how many plugins there are.
type counter struct{ a *Adapter }

func (c counter) UpdatePluginCount(n int)                                                         { c.a.plugins.Store(int64(n)) }
func (counter) RecordPluginInvocation(string, string, error)                                      {}
func (counter) RecordPluginLatency(string, string, time.Duration)                                 {}
func (counter) RecordPluginAdjustments(string, string, *adaptation.ContainerAdjustment, int, int) {}
