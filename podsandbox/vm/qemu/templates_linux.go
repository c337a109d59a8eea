package qemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// templateFormat is part of every template's key: it changes when what is kept
// of one, or how a clone is made of it, does.
const templateFormat = 1

// maxTemplates bounds the shapes that have a template at once. A further shape
// takes the place of the one used longest ago.
const maxTemplates = 4

// buildAgainAfter is how long a shape boots cold after its template failed.
const buildAgainAfter = time.Minute

// templates makes, keeps and gives out one template per shape.
type templates struct {
	host   *Host
	dir    string // copies for the next process; "" keeps none
	life   context.Context
	end    context.CancelFunc
	making sync.WaitGroup

	generation func() (string, error) // names what all templates are made of; see newGeneration

	mu   sync.Mutex
	sets map[shape]*templateSet
}

// templateSet is where one shape is.
type templateSet struct {
	ready    *template     // nil while there is none
	building chan struct{} // closed when the build under way ends; nil without one
	err      error         // why the last build failed
	failed   time.Time
	used     time.Time
}

func newTemplates(h *Host, dir string) *templates {
	ts := &templates{host: h, dir: dir, sets: make(map[shape]*templateSet)}
	ts.life, ts.end = context.WithCancel(context.Background())
	ts.generation = sync.OnceValues(ts.newGeneration)
	return ts
}

func (ts *templates) close() {
	ts.end()
	ts.making.Wait()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, set := range ts.sets {
		if set.ready != nil {
			set.ready.close()
		}
	}
	clear(ts.sets)
}

// get returns the shape's template, which the caller closes; or nil, and then
// sees to it that one is made.
func (ts *templates) get(sh shape) (*template, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	set := ts.set(sh)
	set.used = time.Now()
	if set.ready != nil {
		return set.ready.dup()
	}
	ts.make(sh, set)
	return nil, nil
}

// await returns when the shape has a template, or making one has failed.
func (ts *templates) await(ctx context.Context, sh shape) error {
	for {
		ts.mu.Lock()
		set := ts.set(sh)
		ts.make(sh, set)
		ready, building, err := set.ready != nil, set.building, set.err
		ts.mu.Unlock()
		if ready {
			return nil
		}
		if building == nil {
			return err
		}
		select {
		case <-building:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// set finds or makes the shape's entry. Called with ts.mu held.
func (ts *templates) set(sh shape) *templateSet {
	set := ts.sets[sh]
	if set == nil {
		set = &templateSet{used: time.Now()}
		ts.sets[sh] = set
	}
	return set
}

// make begins a build if one is due. Called with ts.mu held.
func (ts *templates) make(sh shape, set *templateSet) {
	if set.ready != nil || set.building != nil || ts.life.Err() != nil || time.Since(set.failed) < buildAgainAfter {
		return
	}
	building := make(chan struct{})
	set.building = building
	ts.making.Go(func() {
		begin := time.Now()
		t, how, err := ts.loadOrBuild(ts.life, sh)
		ts.mu.Lock()
		defer ts.mu.Unlock()
		defer close(building)
		set.building, set.ready, set.err = nil, t, err
		if err != nil {
			set.failed = time.Now()
			if ts.life.Err() == nil {
				klog.ErrorS(err, "Cannot make a VM template: VMs boot cold", "memoryMiB", sh.memory/mib, "cpus", sh.cpus)
			}
			return
		}
		klog.InfoS("VM template is ready", "how", how, "memoryMiB", sh.memory/mib, "cpus", sh.cpus, "took", time.Since(begin))
		ts.evict()
	})
}

func (ts *templates) loadOrBuild(ctx context.Context, sh shape) (_ *template, how string, err error) {
	generation, err := ts.generation()
	if err != nil {
		return nil, "", err
	}
	key := templateKey(generation, sh)
	if t, err := ts.load(key, sh); err == nil {
		return t, "loaded", nil
	} else if !errors.Is(err, os.ErrNotExist) {
		klog.ErrorS(err, "A kept VM template is discarded", "template", key[:12])
		ts.forget(key)
	}
	t, err := ts.build(ctx, sh, key)
	if err != nil {
		return nil, "", err
	}
	if err := ts.keep(t); err != nil {
		klog.ErrorS(err, "Cannot keep a VM template for the next start", "template", key[:12])
	}
	return t, "built", nil
}

// discard forgets a template that a clone could not be made from.
func (ts *templates) discard(sh shape, key string) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	set := ts.sets[sh]
	if set == nil || set.ready == nil || set.ready.key != key {
		return
	}
	set.ready.close()
	set.ready = nil
	ts.forget(key)
}

// evict keeps the number of templates bounded. Called with ts.mu held.
func (ts *templates) evict() {
	for {
		var oldest shape
		ready := 0
		for sh, set := range ts.sets {
			if set.ready == nil {
				continue
			}
			ready++
			if ready == 1 || set.used.Before(ts.sets[oldest].used) {
				oldest = sh
			}
		}
		if ready <= maxTemplates {
			return
		}
		ts.sets[oldest].ready.close()
		ts.forget(ts.sets[oldest].ready.key)
		delete(ts.sets, oldest)
	}
}

// templateKey names what a template is made of: a change of any input is another template.
func templateKey(generation string, sh shape) string {
	sh.tscKHz = 0 // the same for all of a boot but for the error of its measurement
	p := paths{name: "template", origin: asTemplate, kernel: "kernel", initrd: "initrd", memory: "memory"}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s", generation, strings.Join(args(sh, p), "\n"))
	return hex.EncodeToString(sum.Sum(nil))
}

// newGeneration reads what every template depends on, and removes what is kept
// of templates that depend on something else.
func (ts *templates) newGeneration() (string, error) {
	generation, err := digestInputs(ts.host)
	if err == nil {
		ts.forgetOthers(generation)
	}
	return generation, err
}

// digestInputs covers this host's boot, the guest image and QEMU's version.
func digestInputs(h *Host) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d\n%s\n", templateFormat, h.bootID)
	for _, file := range []string{h.cfg.Kernel, h.cfg.Initrd} {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("digest of %s: %w", file, err)
		}
	}
	version, err := exec.Command(h.binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", h.binary, err)
	}
	sum.Write(version)
	return hex.EncodeToString(sum.Sum(nil)), nil
}
