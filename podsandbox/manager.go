package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/cdi"
	"github.com/paddock-run/paddock/podsandbox/store"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Config is a Manager's configuration. It is a value.
type Config struct {
	// Root holds what outlives a reboot: state.db, scratch disks. E.g. /var/lib/paddock.
	Root string
	// StateDir holds what does not: log records. E.g. /run/paddock.
	StateDir string
	// HostVersion is told to agents.
	HostVersion string
	// DefaultMemory is a VM's memory in bytes when the pod has no limit. 0: 512 MiB.
	DefaultMemory uint64
	// PodOverheadMemory is added to a pod's limits for the guest's kernel and agent, in bytes. 0: 128 MiB.
	PodOverheadMemory uint64
	// ScratchSize is the most bytes that a pod's scratch disk can hold. 0: 20 GiB.
	ScratchSize uint64
	// SeccompProfileRoot is where relative Localhost profiles are. "": /var/lib/kubelet/seccomp.
	SeccompProfileRoot string
	// Pool bounds the sandboxes made ahead.
	Pool PoolConfig
	// CDISpecDirs hold the specs of CDI devices, the last one winning. Empty: containers with CDI devices are refused.
	CDISpecDirs []string
	// DirectVolumeDirs are the folders in which drivers say which volumes are disks: see directVolume.
	DirectVolumeDirs []string
	// NoChangeNotices: pods are not told what the host changes in their volumes, unless they ask for it.
	NoChangeNotices bool
	// WineDisk is the disk that VMs get for Windows containers, guest/wine.go says with what on it. "": Windows pods
	// are refused, unless WindowsBaseImage is set.
	WineDisk string
	// WindowsBaseImage is the image that VMs of Windows pods boot from, so that their guest is Windows and they have
	// nothing of Wine. For Windows hosts; "": there are no such VMs.
	WindowsBaseImage string
	// ResolvConf is the resolver configuration of pods that have none. "": /etc/resolv.conf.
	ResolvConf string
}

func (c Config) withDefaults() Config {
	if c.DefaultMemory == 0 {
		c.DefaultMemory = 512 << 20
	}
	if c.PodOverheadMemory == 0 {
		c.PodOverheadMemory = 128 << 20
	}
	if c.ScratchSize == 0 {
		c.ScratchSize = 20 << 30
	}
	if c.SeccompProfileRoot == "" {
		c.SeccompProfileRoot = "/var/lib/kubelet/seccomp"
	}
	if c.ResolvConf == "" {
		c.ResolvConf = "/etc/resolv.conf"
	}
	return c
}

// Deps are the parts that a Manager puts together. All but Scratch and Hooks are needed.
type Deps struct {
	VMs     vm.Host
	Network network.Network
	Images  imageservice.Service
	Shares  fileshare.Servers
	// Scratch makes scratch disks; nil: ext4 images made with the host's mkfs.ext4.
	Scratch ScratchMaker
	// Hooks hear of, and may change, what the Manager does; nil: none.
	Hooks Hooks
}

// Manager runs pod sandboxes. It implements Runtime.
type Manager struct {
	cfg        Config
	deps       Deps
	pool       *pool
	making     chan struct{} // a place for each base that may be made at once; see base.make
	rehearsal  opLock        // held while the layer to rehearse with is made
	cdi        *cdi.Registry
	hooks      Hooks
	store      *store.Store
	sandboxRec *store.Table[sandboxRecord]
	ctrRec     *store.Table[containerRecord]
	events     *hub

	// life ends with Close; background is every goroutine of the Manager.
	life       context.Context
	end        context.CancelFunc
	background sync.WaitGroup

	mu         sync.RWMutex
	sandboxes  map[string]*sandbox   // by id
	containers map[string]*container // by id
	names      map[Meta]string       // reserved sandbox names
}

var _ Runtime = (*Manager)(nil)

// New opens the state under cfg.Root and takes over what runs: sandboxes and
// containers go on with their logs and exits, half-made ones are undone, and
// what belongs to none is removed. The Manager owns none of deps.
func New(ctx context.Context, cfg Config, deps Deps) (*Manager, error) {
	if deps.VMs == nil || deps.Network == nil || deps.Images == nil || deps.Shares == nil {
		return nil, errors.New("podsandbox: VMs, Network, Images and Shares are needed")
	}
	cfg = cfg.withDefaults()
	if deps.Scratch == nil {
		deps.Scratch = NewExt4Scratch(filepath.Join(cfg.Root, "scratch-templates"), cfg.ScratchSize)
	}
	if deps.Hooks == nil {
		deps.Hooks = noHooks{}
	}
	for _, dir := range []string{cfg.Root, cfg.StateDir} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("podsandbox: %w", err)
		}
	}
	m := &Manager{
		cfg: cfg, deps: deps, rehearsal: newOpLock(), cdi: cdi.New(cfg.CDISpecDirs), hooks: deps.Hooks, events: newHub(),
		sandboxes: map[string]*sandbox{}, containers: map[string]*container{}, names: map[Meta]string{},
	}
	m.pool = newPool(m, cfg.Pool)
	m.making = make(chan struct{}, max(2, runtime.NumCPU()))
	m.life, m.end = context.WithCancel(context.Background())
	if err := m.openStore(); err != nil {
		m.end()
		return nil, err
	}
	if err := m.recover(ctx); err != nil {
		m.Close()
		return nil, err
	}
	if cfg.Pool.Max > 0 {
		m.spawn(func() { m.pool.run(m.life) })
	}
	return m, nil
}

func (m *Manager) openStore() (err error) {
	if m.store, err = store.Open(filepath.Join(m.cfg.Root, "state.db")); err != nil {
		return err
	}
	if m.sandboxRec, err = store.NewTable[sandboxRecord](m.store, "sandboxes"); err != nil {
		m.store.Close()
		return err
	}
	if m.ctrRec, err = store.NewTable[containerRecord](m.store, "containers"); err != nil {
		m.store.Close()
		return err
	}
	return nil
}

// Close ends the Manager's own work, and what it made ahead. Pods go on running;
// a later New takes them over.
func (m *Manager) Close() error {
	m.end()
	m.background.Wait()
	m.pool.drain()
	for _, c := range m.allContainers() {
		c.closeLog()
	}
	for _, s := range m.allSandboxes() {
		s.disconnect()
	}
	m.events.close()
	return m.store.Close()
}

// Status is nil when sandboxes can be run; else what is missing.
func (m *Manager) Status() error {
	if err := m.deps.Network.Status(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Subscribe delivers events from now on, until ctx ends.
func (m *Manager) Subscribe(ctx context.Context) <-chan Event { return m.events.subscribe(ctx) }

// spawn runs f until it returns; Close waits for it.
func (m *Manager) spawn(f func()) {
	m.background.Add(1)
	go func() {
		defer m.background.Done()
		f()
	}()
}
