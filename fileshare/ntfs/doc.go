// Package ntfs is what a share server of a Windows host needs to keep Linux'
// metadata on NTFS as the Windows Subsystem for Linux keeps it, so that both
// see each other's files as they are:
//
//	owner, mode, device   extended attributes $LXUID, $LXGID, $LXMOD, $LXDEV   metadata.go
//	xattrs                extended attributes LX.<NAME>                        xattr.go
//	links, device nodes   reparse points                                       reparse.go
//	names                 what Windows forbids as private characters           name.go
//	stat                  FILE_STAT_LX_INFORMATION                             stat.go
//	fcntl locks           a table of ranges, one for each volume               locks.go
//
// The layouts are those of ntifs.h and of Microsoft's lxutil. Nothing in here
// calls Windows: bytes go in and come out, and every decoder takes what it gets
// as hostile, since who may write to the tree may write its attributes. What
// calls Windows, and serves FUSE on it, is not here yet.
package ntfs
