// Package schema has the JSON documents of the Host Compute Service that Paddock
// sends and reads: the part of the published schema that it uses, no more
// (learn.microsoft.com/virtualization/api/hcs/schemareference). It builds on every OS.
package schema
