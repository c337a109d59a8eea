// Package ntfs serves a directory or file of a Windows host as a file system for a
// client that is not trusted, and keeps Linux' metadata on NTFS as the Windows
// Subsystem for Linux keeps it, so that both see each other's files as they are:
//
//	owner, mode, device   extended attributes $LXUID, $LXGID, $LXMOD, $LXDEV   metadata.go
//	xattrs                extended attributes LX.<NAME>                        xattr.go
//	links, device nodes   reparse points                                       reparse.go
//	names                 what Windows forbids as private characters           name.go
//	stat                  FILE_STAT_LX_INFORMATION                             stat.go
//	locks                 a table of ranges                                    locks.go
//
// The layouts are those of ntifs.h and of Microsoft's lxutil. In those files nothing
// calls Windows: bytes go in and come out, and every decoder takes what it gets
// as hostile, since who may write to the tree may write its attributes. The
// files *_windows.go call Windows, by its native interface (NtCreateFile and others).
//
// # Staying in the share
//
// A request names an inode by a number of ours and at most one component below it. Files
// are opened relative to the handle of the directory above, one component at a time, by
// names that have passed EncodeName ("/", "\", ":", "." and ".." are no part of any), always with
// FILE_OPEN_REPARSE_POINT: a link or junction is opened as itself, and a directory on
// the way that is one is refused. A file that was found is compared by its id on the
// volume with the one that the number stands for. No id of the client's reaches
// Windows, and nothing is opened by id, which would reach all of the volume.
//
// # Inodes
//
//	         lookup                       request: found by a name, and the same
//	(none) ────────▶ known, by its names ◀──────────────────────────────────┐
//	   ▲                 │        │ request ────────────────────────────────┘
//	   │    forgotten    │        └──▶ not found, or another: ESTALE, at which the client looks up anew
//	   └─────────────────┘
//
// No handle is held for a known inode, and those of files that are open share
// everything (reading, writing, deleting): the host's programs work in the tree as if nobody
// else did, but for what Windows refuses because of any open file: moving a
// directory above it, and opening it without sharing. Deleted by POSIX semantics a
// name goes at once, and who has the file open keeps it.
//
// # Changes of others
//
// One ReadDirectoryChangesW of the root hears of the whole tree, by paths. Told is what is in a
// directory that the client knows. Windows does not say who did it; so the client's own
// operations leave a mark, for some seconds, on the names or the file that they change, and
// what is marked, or open to the client for writing, is not told.
//
// # What differs from Linux
//
// Files of Windows' programs have no owner and mode: they are root's, 0755, or 0555 if
// read-only. A volume without extended attributes keeps none: to change them is EPERM.
// A directory that is not set to tell letters' case apart finds both by one name.
// A rename over an empty directory removes that first, and is not atomic.
// Windows' absolute links and junctions are links whose text cannot be read (EIO); files
// of deduplication and cloud drives are not opened (EOPNOTSUPP). Locks hold among
// the containers that have the share, not against the host's programs. SEEK_DATA,
// copy_file_range, holes, ACLs and exchanging names are left to the client's kernel, or refused.
package ntfs
