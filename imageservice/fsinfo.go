package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// usageAge is how long a measurement holds while nothing is known to have changed.
const usageAge = 10 * time.Second

// usage remembers what the store takes on disk.
type usage struct {
	mu      sync.Mutex
	info    FSInfo
	version int
}

// forget makes the next look measure anew.
func (u *usage) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.info = FSInfo{}
	u.version++
}

// FSInfo implements Service. It counts what is allocated, not how long files are.
func (s *Store) FSInfo(ctx context.Context) (FSInfo, error) {
	s.usage.mu.Lock()
	info, version := s.usage.info, s.usage.version
	s.usage.mu.Unlock()
	if !info.Time.IsZero() && time.Since(info.Time) < usageAge {
		return info, nil
	}
	info, err := measure(ctx, s.cfg.Root)
	if err != nil {
		return FSInfo{}, fmt.Errorf("measuring %s: %w", s.cfg.Root, err)
	}
	s.usage.mu.Lock()
	defer s.usage.mu.Unlock()
	if s.usage.version == version {
		s.usage.info = info
	}
	return info, nil
}

func measure(ctx context.Context, root string) (FSInfo, error) {
	info := FSInfo{Time: time.Now(), Mountpoint: root}
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		fi, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		info.UsedBytes += allocatedBytes(fi)
		info.Inodes++
		return ctx.Err()
	})
	return info, err
}

// ignoreGone: files come and go while they are counted.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
