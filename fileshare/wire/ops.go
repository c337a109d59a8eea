package wire

// names does what makes, finds, moves and removes names. Every request is read in whole before it is done.
func (h *Handler) names(r *request, a *answer) error {
	switch r.opcode {
	case opLookup:
		name := r.name()
		return h.entered(r, a, func() (Entry, error) { return h.fs.Lookup(r.node, name) })
	case opMknod:
		mode, device, umask := r.u32(), r.u32(), r.u32()
		r.skip(4)
		name := r.name()
		return h.entered(r, a, func() (Entry, error) { return h.fs.Mknod(r.node, name, r.caller, mode, umask, device) })
	case opMkdir:
		mode, umask, name := r.u32(), r.u32(), r.name()
		return h.entered(r, a, func() (Entry, error) { return h.fs.Mkdir(r.node, name, r.caller, mode, umask) })
	case opSymlink:
		name, text := r.name(), r.name()
		return h.entered(r, a, func() (Entry, error) { return h.fs.Symlink(r.node, name, r.caller, text) })
	case opLink:
		node, name := r.u64(), r.name()
		return h.entered(r, a, func() (Entry, error) { return h.fs.Link(node, r.node, name) })
	case opUnlink:
		return r.done(func(name string) error { return h.fs.Unlink(r.node, name) })
	case opRmdir:
		return r.done(func(name string) error { return h.fs.Rmdir(r.node, name) })
	case opRename, opRename2:
		parent, flags := r.u64(), uint32(0)
		if r.opcode == opRename2 {
			flags = r.u32()
			r.skip(4)
		}
		name := r.name()
		return r.done(func(newName string) error { return h.fs.Rename(r.node, name, parent, newName, flags) })
	}
	return errOther
}

// entered does a request that has been read, and answers with an entry.
func (h *Handler) entered(r *request, a *answer, do func() (Entry, error)) error {
	if r.bad {
		return eINVAL
	}
	e, err := do()
	return one(a, e, err)
}

// done takes a name, and does a request that is answered by its outcome alone.
func (r *request) done(do func(name string) error) error {
	name := r.name()
	if r.bad {
		return eINVAL
	}
	return do(name)
}

// attributes does what is about an inode.
func (h *Handler) attributes(r *request, a *answer) error {
	switch r.opcode {
	case opGetattr:
		t, err := h.fs.GetAttr(r.node)
		if err == nil {
			a.attrOut(&t)
		}
		return err
	case opSetattr:
		set := r.setattr()
		if r.bad {
			return eINVAL
		}
		t, err := h.fs.SetAttr(r.node, set)
		if err == nil {
			a.attrOut(&t)
		}
		return err
	case opReadlink:
		text, err := h.fs.Readlink(r.node)
		a.bytes([]byte(text))
		return err
	case opStatfs:
		s, err := h.fs.StatFS(r.node)
		a.statfs(&s)
		return err
	case opAccess:
		mask := r.u32()
		if r.bad {
			return eINVAL
		}
		return h.fs.Access(r.node, mask)
	}
	return h.xattrs(r, a)
}

const eRANGE Errno = 34

func (h *Handler) xattrs(r *request, a *answer) error {
	switch r.opcode {
	case opSetxattr:
		size, flags, name := r.u32(), r.u32(), r.name()
		value := r.take(int(size))
		if r.bad {
			return eINVAL
		}
		return h.fs.SetXattr(r.node, name, value, flags)
	case opGetxattr, opListxattr:
		size := r.u32()
		r.skip(4)
		var value []byte
		var err error
		if r.opcode == opListxattr {
			var names []string
			names, err = h.fs.ListXattr(r.node)
			for _, name := range names {
				value = append(append(value, name...), 0)
			}
		} else if name := r.name(); !r.bad {
			value, err = h.fs.GetXattr(r.node, name)
		}
		switch {
		case r.bad:
			return eINVAL
		case err != nil:
			return err
		case size == 0:
			a.u32(uint32(len(value)), 0)
			return nil
		case len(value) > int(size):
			return eRANGE
		}
		a.bytes(value)
		return nil
	case opRemovexattr:
		return r.done(func(name string) error { return h.fs.RemoveXattr(r.node, name) })
	}
	return errOther
}

// Flags of requests.
const (
	openAppend      = 0o2000 // O_APPEND
	openKillSetID   = 1      // FUSE_OPEN_KILL_SUIDGID
	writeCache      = 1      // FUSE_WRITE_CACHE
	writeKillSetID  = 4      // FUSE_WRITE_KILL_SUIDGID
	releaseFlock    = 2      // FUSE_RELEASE_FLOCK_UNLOCK
	fsyncOfDataOnly = 1      // FUSE_FSYNC_FDATASYNC
)

// files does what is about the data of files.
func (h *Handler) files(r *request, a *answer) error {
	switch r.opcode {
	case opOpen:
		flags, more := r.u32(), r.u32()
		if r.bad {
			return eINVAL
		}
		handle, err := h.fs.Open(r.node, flags, more&openKillSetID != 0)
		a.openOut(handle)
		return err
	case opCreate:
		flags, mode, umask := r.u32(), r.u32(), r.u32()
		r.skip(4)
		name := r.name()
		if r.bad {
			return eINVAL
		}
		e, handle, err := h.fs.Create(r.node, name, r.caller, flags, mode, umask)
		if err == nil {
			a.entry(&e)
			a.openOut(handle)
		}
		return err
	case opRead:
		return h.read(r, a)
	case opWrite:
		return h.write(r, a)
	case opFlush:
		handle := r.u64()
		r.skip(8)
		owner := r.u64()
		if r.bad {
			return eINVAL
		}
		return h.fs.Flush(r.node, handle, owner)
	case opFsync, opFsyncdir:
		handle, flags := r.u64(), r.u32()
		switch {
		case r.bad:
			return eINVAL
		case r.opcode == opFsyncdir:
			return h.fs.FsyncDir(r.node, handle)
		}
		return h.fs.Fsync(r.node, handle, flags&fsyncOfDataOnly != 0)
	case opFallocate:
		handle, offset, length, mode := r.u64(), r.u64(), r.u64(), r.u32()
		if r.bad {
			return eINVAL
		}
		return h.fs.Fallocate(r.node, handle, mode, offset, length)
	case opRelease:
		h.release(r)
		return nil
	}
	return errOther
}

// release reads struct fuse_release_in.
func (h *Handler) release(r *request) {
	handle := r.u64()
	r.skip(4)
	flags, owner := r.u32(), r.u64()
	if r.bad {
		return
	}
	if flags&releaseFlock != 0 {
		h.fs.Release(handle, &owner)
		return
	}
	h.fs.Release(handle, nil)
}

func (h *Handler) read(r *request, a *answer) error {
	handle, offset, size := r.u64(), r.u64(), int(r.u32())
	if r.bad || size > a.room() {
		r.bad = true
		return eINVAL
	}
	at := len(a.buf)
	n, err := h.fs.Read(r.node, handle, offset, a.buf[at:at+size])
	if err == nil {
		a.buf = a.buf[:at+n]
	}
	return err
}

func (h *Handler) write(r *request, a *answer) error {
	handle, w := r.u64(), Write{Offset: r.u64()}
	size, how := r.u32(), r.u32()
	r.skip(8)
	flags := r.u32()
	r.skip(4)
	w.Data = r.take(int(size))
	if r.bad || int(size) > h.maxWrite {
		r.bad = true
		return eINVAL
	}
	w.Append = flags&openAppend != 0 && how&writeCache == 0
	w.KillSetID = how&writeKillSetID != 0
	n, err := h.fs.Write(r.node, handle, w)
	a.u32(uint32(n), 0)
	return err
}

// directories does what is about open directories.
func (h *Handler) directories(r *request, a *answer) error {
	switch r.opcode {
	case opOpendir:
		handle, err := h.fs.OpenDir(r.node)
		a.openOut(handle)
		return err
	case opReaddir, opReaddirplus:
		handle, offset, size := r.u64(), r.u64(), int(r.u32())
		if r.bad || size > a.room() {
			r.bad = true
			return eINVAL
		}
		a.buf = a.buf[: len(a.buf) : len(a.buf)+size]
		return h.fs.ReadDir(r.node, handle, offset, func(e DirEntry) bool { return h.addEntry(r, a, e) })
	case opReleasedir:
		if handle := r.u64(); !r.bad {
			h.fs.ReleaseDir(handle)
		}
		return nil
	}
	return errOther
}

// addEntry adds an entry, and for readdirplus what a lookup of it tells.
func (h *Handler) addEntry(r *request, a *answer, e DirEntry) bool {
	size := direntSize(e.Name)
	if r.opcode == opReaddir {
		if size > a.room() {
			return false
		}
		a.dirent(&e)
		return true
	}
	if size+entrySize > a.room() {
		return false
	}
	var entry Entry
	if e.Name != "." && e.Name != ".." {
		// One gone meanwhile stays a name without a node; the client looks it up if it must.
		if found, err := h.fs.Lookup(r.node, e.Name); err == nil {
			entry, e.Mode = found, found.Attr.Mode
		}
	}
	a.entry(&entry)
	a.dirent(&e)
	return true
}

// locks does what is about locks.
func (h *Handler) locks(r *request, a *answer) error {
	switch r.opcode {
	case opGetlk, opSetlk, opSetlkw:
	default:
		return errOther
	}
	l := r.lock()
	if r.bad || l.Type > Unlock || l.Start > l.End {
		return eINVAL
	}
	if r.opcode == opGetlk {
		found, err := h.fs.GetLock(r.node, l)
		a.lock(&found)
		return err
	}
	cancel, done := h.interruptible(r.unique)
	defer done()
	return h.fs.SetLock(cancel, r.node, l, r.opcode == opSetlkw)
}
