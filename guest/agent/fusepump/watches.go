//go:build linux

package fusepump

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// scanShare is the part of the time that may be spent looking for watches: one in scanShare.
const scanShare = 10

// watches knows which files somebody in the guest watches, from what /proc tells
// of processes' inotify and fanotify descriptors. Nobody looks while no host changes anything.
type watches struct {
	mu sync.Mutex
	// what follows is guarded by mu
	at    time.Time // when the last look began
	next  time.Time // when there may be another
	files map[watchedFile]bool
	all   bool // a mount or a file system is watched
	asked time.Time
}

// watchedFile is an inode as fdinfo has it.
type watchedFile struct{ dev, ino uint64 }

// has tells whether a file is watched, or was when it was changed.
func (w *watches) has(dev, ino uint64, changed time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.at.After(changed) {
		time.Sleep(time.Until(w.next))
		w.look()
	}
	return w.all || w.files[watchedFile{dev, ino}]
}

// look needs mu.
func (w *watches) look() {
	w.at = time.Now()
	w.files, w.all = map[watchedFile]bool{}, false
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		klog.ErrorS(err, "Cannot look for inotify watches")
	}
	for _, link := range links {
		switch to, err := os.Readlink(link); {
		case err != nil:
		case to == "anon_inode:inotify", to == "anon_inode:[fanotify]":
			info, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "fdinfo", filepath.Base(link)))
			if err == nil {
				w.parse(info)
			}
		}
	}
	w.next = time.Now().Add(scanShare * time.Since(w.at))
}

// parse reads lines like "inotify wd:1 ino:9e7e sdev:800013 mask:800afce ..." and
// "fanotify ino:9e7e sdev:800013 ..."; fanotify's other marks have no ino.
func (w *watches) parse(info []byte) {
	for line := range bytes.Lines(info) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || fields[0] != "inotify" && fields[0] != "fanotify" {
			continue
		}
		f, found := watchedFile{}, 0
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, ":")
			n, err := strconv.ParseUint(value, 16, 64)
			switch {
			case err != nil:
			case key == "ino":
				f.ino = n
				found++
			case key == "sdev":
				f.dev = n
				found++
			}
		}
		switch {
		case found == 2:
			w.files[f] = true
		case strings.HasPrefix(fields[1], "mnt_id:"), strings.HasPrefix(fields[1], "sdev:"):
			w.all = true
		}
	}
}

// dropPause is the least time between two requests to forget.
const dropPause = 10 * time.Second

// dropCaches has the kernel forget files that nobody uses, and tell the host so.
func (w *watches) dropCaches() {
	w.mu.Lock()
	again := time.Since(w.asked) < dropPause
	if !again {
		w.asked = time.Now()
	}
	w.mu.Unlock()
	if again {
		return
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0); err != nil {
		klog.ErrorS(err, "Cannot drop what the kernel knows of the host's files")
	}
}
