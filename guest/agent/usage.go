//go:build linux

package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	usageAge     = 10 * time.Second // how old an answer may be before it is measured anew
	maxUsageWalk = 1 << 20          // files of one walk
)

// usageCache knows how much directories hold. Walking a tree is dear, so an
// answer is measured at most every usageAge and an older one is given meanwhile.
type usageCache struct {
	mu   sync.Mutex
	dirs map[string]*usageEntry
}

type usage struct{ bytes, inodes uint64 }

type usageEntry struct {
	usage
	at      time.Time
	walking chan struct{} // closed when the walk under way is done
}

// get is the use of dir, known by key. Only the first answer of a key waits for the walk.
func (u *usageCache) get(key, dir string) usage {
	u.mu.Lock()
	if u.dirs == nil {
		u.dirs = map[string]*usageEntry{}
	}
	e := u.dirs[key]
	first := e == nil
	if first {
		e = &usageEntry{}
		u.dirs[key] = e
	}
	if e.walking == nil && time.Since(e.at) > usageAge {
		e.walking = make(chan struct{})
		go u.refresh(e, dir)
	}
	walking := e.walking
	u.mu.Unlock()
	if first && walking != nil {
		<-walking
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return e.usage
}

func (u *usageCache) refresh(e *usageEntry, dir string) {
	found := measure(dir)
	u.mu.Lock()
	defer u.mu.Unlock()
	e.usage, e.at = found, time.Now()
	close(e.walking)
	e.walking = nil
}

func (u *usageCache) forget(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.dirs, key)
}

// measure sums the blocks of a tree, a file with several links once, without
// crossing into another file system.
func measure(dir string) (sum usage) {
	var root unix.Stat_t
	if unix.Lstat(dir, &root) != nil {
		return sum
	}
	linked := map[uint64]bool{}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil {
			return nil
		}
		if st.Dev != root.Dev {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if st.Nlink > 1 && !d.IsDir() {
			if linked[st.Ino] {
				return nil
			}
			linked[st.Ino] = true
		}
		sum.bytes += uint64(st.Blocks) * 512
		if sum.inodes++; sum.inodes >= maxUsageWalk {
			return fs.SkipAll
		}
		return nil
	})
	return sum
}

// volumeNames lists the pod's volumes on the scratch disk, as ScratchSource names them.
func volumeNames() []string {
	volumeMu.Lock()
	defer volumeMu.Unlock()
	var names []string
	for name := range volumes {
		if _, err := os.Lstat(filepath.Join(volumesDir, name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}
