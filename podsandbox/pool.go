package podsandbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// PoolConfig bounds how many sandboxes are made ahead.
type PoolConfig struct {
	// Min are ready at all times, Max after bursts. Max 0 makes none ahead.
	Min, Max int
	// MemoryBytes is the most memory of the host that ready ones may use together. 0: 1 GiB.
	MemoryBytes uint64
}

const (
	// poolLook is how often the pool looks whether it has become too large.
	poolLook = 10 * time.Second
	// poolRetry is how long it waits after making one failed.
	poolRetry = 5 * time.Second
	// fillTime bounds the making of one base; a template may have to boot first.
	fillTime = 5 * time.Minute
	// drainPoolTime bounds the emptying of the pool when the Manager closes.
	drainPoolTime = 20 * time.Second
)

// pool keeps bases ready, as many as were asked for lately:
//
//	(nothing) ──fill──▶ making ──▶ prepared ──take──▶ a sandbox's
//	                      │            │
//	                      └─(undo)─────┴─(too many, VM ended, Close)──▶ (gone)
//
// A base in the pool has a record of phase prepared. It is taken by storing a
// sandbox's record in its place before anything of the pod reaches it, so that a
// later process may adopt every prepared base without a doubt.
type pool struct {
	m    *Manager
	cfg  PoolConfig
	wake chan struct{}

	mu     sync.Mutex
	ready  []*base
	demand demand
	closed bool
	busy   busy
}

func newPool(m *Manager, cfg PoolConfig) *pool {
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = 1 << 30
	}
	return &pool{m: m, cfg: cfg, wake: make(chan struct{}, 1)}
}

// begin tells that a sandbox is being run; the caller calls end. It returns a
// base for it; nil if none is ready. Bases are Linux guests, and so fit Windows
// pods too where Wine runs them: it comes with their containers.
func (p *pool) begin() (b *base, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.demand.note(time.Now())
	p.busy.begin()
	p.busy.runs++
	for len(p.ready) > 0 && b == nil {
		b = p.ready[0]
		p.ready = p.ready[1:]
		if !b.intact() {
			broken := b
			p.m.spawn(func() { p.dispose(p.m.life, broken) })
			b = nil
		}
	}
	p.nudge()
	return b, p.end
}

func (p *pool) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy.runs--
	p.busy.end(time.Now())
}

// put adds a base; false if the pool is closed.
func (p *pool) put(b *base) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.ready = append(p.ready, b)
	return true
}

func (p *pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run fills and trims the pool until ctx ends.
func (p *pool) run(ctx context.Context) {
	look := time.NewTicker(poolLook)
	defer look.Stop()
	for ctx.Err() == nil {
		wait := look.C
		switch surplus := p.surplus(ctx); {
		case surplus < 0:
			p.yield(ctx)
			if err := p.fill(ctx); err == nil {
				continue
			} else if ctx.Err() == nil {
				klog.ErrorS(err, "Cannot make a sandbox ahead", "retryAfter", poolRetry)
				wait = time.After(poolRetry)
			}
		case surplus > 0:
			p.trim(ctx)
			continue
		}
		select {
		case <-wait:
		case <-p.wake:
		case <-ctx.Done():
		}
	}
}

// surplus is how many bases there are too many; negative: too few, and memory for more.
func (p *pool) surplus(ctx context.Context) int {
	p.mu.Lock()
	target := p.demand.target(time.Now(), p.cfg.Min, p.cfg.Max)
	ready := append([]*base(nil), p.ready...)
	p.mu.Unlock()
	surplus := len(ready) - target
	if surplus >= 0 {
		return surplus
	}
	var used uint64
	for _, b := range ready {
		if st, err := b.s.vm.Stats(ctx); err == nil {
			used += st.MemoryBytes
		}
	}
	if len(ready) > 0 && used+used/uint64(len(ready)) > p.cfg.MemoryBytes {
		return 0
	}
	return surplus
}

// fill makes one base. On error nothing of it is left.
func (p *pool) fill(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, fillTime)
	defer cancel()
	m, b := p.m, p.m.newBase()
	var u undo
	defer func() {
		if err != nil {
			b.s.finish()
			u.run(klog.FromContext(ctx).WithValues("sandbox", b.s.id))
		}
	}()
	u.pushIntent("intent", func() error { return m.sandboxRec.Delete(b.s.id) })
	if err := p.store(b, phaseMaking); err != nil {
		return err
	}
	b.pushUndo(&u)
	if err := b.prepareNetwork(ctx); err != nil {
		return err
	}
	cfg := vm.Config{GuestOS: guest.Linux, Resources: vm.Resources{MemoryBytes: m.cfg.DefaultMemory}, Endpoint: b.endpoint}
	if w, ok := m.deps.VMs.(vm.Warmer); ok {
		if err := w.Warm(ctx, cfg); err != nil {
			klog.ErrorS(err, "Sandboxes made ahead boot their VMs")
		}
	}
	if err := b.make(ctx, cfg); err != nil {
		return err
	}
	p.yield(ctx)
	if err := b.rehearse(ctx); err != nil {
		return err
	}
	if err := p.store(b, phasePrepared); err != nil {
		return err
	}
	if !p.put(b) {
		return errors.New("the pool is closed")
	}
	return nil
}

func (p *pool) store(b *base, phase phase) error {
	return p.m.updateSandbox(b.s, func(r *sandboxRecord) bool {
		*r = sandboxRecord{Phase: phase, VMID: b.s.vmID, Scratch: b.scratch,
			Status: SandboxStatus{ID: b.s.id, Created: time.Now(), Kernel: b.kernel}}
		return true
	})
}

// trim removes the base that has been ready longest.
func (p *pool) trim(ctx context.Context) {
	p.mu.Lock()
	if len(p.ready) == 0 {
		p.mu.Unlock()
		return
	}
	b := p.ready[0]
	p.ready = p.ready[1:]
	p.mu.Unlock()
	p.dispose(ctx, b)
}

// dispose removes a base that nobody took; what fails is left to the next start.
func (p *pool) dispose(ctx context.Context, b *base) {
	b.s.finish()
	b.s.disconnect()
	err := p.m.removeVM(ctx, b.s.vmID)
	if err == nil {
		err = p.m.dismantle(ctx, b.s.id)
	}
	if err == nil {
		err = p.m.sandboxRec.Delete(b.s.id)
	}
	if err != nil {
		klog.ErrorS(err, "A sandbox made ahead is not removed yet: the next start tries again", "sandbox", b.s.id)
	}
}

// drain removes all.
func (p *pool) drain() {
	p.mu.Lock()
	ready := p.ready
	p.ready, p.closed = nil, true
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), drainPoolTime)
	defer cancel()
	var all errgroup.Group
	all.SetLimit(recoverAtOnce)
	for _, b := range ready {
		all.Go(func() error { p.dispose(ctx, b); return nil })
	}
	_ = all.Wait() // what failed was logged
}

// adopt takes over a base that an earlier process made ahead; false if it is of no use any more.
func (p *pool) adopt(ctx context.Context, r *sandboxRecord) bool {
	m := p.m
	if p.cfg.Max == 0 {
		return false
	}
	id := r.Status.ID
	s := newSandbox(id, r.VMID, m.sandboxDir(id), m.life)
	s.record = *r
	if why := m.reconnect(ctx, s); why != "" || s.share == nil {
		s.disconnect()
		return false
	}
	b := &base{m: m, s: s, time: new(timeline), made: true, scratch: r.Scratch, kernel: r.Status.Kernel}
	return b.intact() && p.put(b)
}
