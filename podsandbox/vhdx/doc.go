// Package vhdx writes dynamic VHDX disk images, which Hyper-V attaches and which grow
// as they are written ([MS-VHDX]). A file is laid out as:
//
//	0       file identifier
//	64 KiB  header 1      128 KiB  header 2       (the newer one counts)
//	192 KiB region table  256 KiB  its copy       (where metadata and BAT are)
//	1 MiB   log, empty
//	2 MiB   metadata: sizes and the disk's id
//	3 MiB   BAT: where each block is, 8 bytes a block, and room for sector bitmaps
//	...     blocks that are there, 1 MiB each
package vhdx
