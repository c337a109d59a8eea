//go:build linux || windows

package fileshare

import "github.com/paddock-run/paddock/guest/idmap"

// The control protocol: one request and one answer a connection, of JSON. Files
// come with a request as the host hands them from process to process.

type controlOp string

const (
	opPing     controlOp = "ping"
	opAdd      controlOp = "add" // Linux: with descriptors of the share's root and of its journal
	opRemove   controlOp = "remove"
	opList     controlOp = "list"
	opExport   controlOp = "export" // with the descriptors of an exportRequest
	opUnexport controlOp = "unexport"
	opExports  controlOp = "exports"
)

type controlRequest struct {
	Op           controlOp      `json:"op"`
	ShareID      string         `json:"shareID,omitempty"`
	ReadOnly     bool           `json:"readOnly,omitempty"`
	FollowMounts bool           `json:"followMounts,omitempty"`
	IDs          *idmap.Range   `json:"ids,omitempty"`
	Watch        bool           `json:"watch,omitempty"`
	Export       *exportRequest `json:"export,omitempty"`
	ExportID     string         `json:"exportID,omitempty"`
	// Root is, on Windows, the share's root: a handle that the process of this id has been given.
	Root    uint64 `json:"root,omitempty"`
	Process int    `json:"process,omitempty"`
}

type controlReply struct {
	Error  string   `json:"error,omitempty"`
	Info   Info     `json:"info"`
	Shares []string `json:"shares,omitempty"`
	// Exports are those of export that no unexport has ended.
	Exports []string `json:"exports,omitempty"`
}

// exportRequest asks for a pump between a FUSE device and a mount of the guest.
// Descriptors: the device, and what the mount will cover.
type exportRequest struct {
	ID, ShareID, Path string
	Mount             uint64
	// Root is the share's root, to be sure that both sides mean the same.
	Root fileID
	// Parent and Name are the place the mount covers; no name: the share's root.
	Parent fileID
	Name   string
}

// fileID tells a file of the host's.
type fileID struct{ Dev, Ino uint64 }
