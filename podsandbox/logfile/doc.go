// Package logfile writes a container's output to its log in the CRI format and
// never loses or repeats a line, also when the process dies between two writes.
//
// A line of the log is
//
//	2016-10-06T00:17:09.669794202Z stdout F the line
//
// F ends a line of the container; P is a part of one: the line is longer than
// MaxLine bytes, or its stream ended without a newline. Output is counted per stream
// in bytes as the container wrote them: an F line stands for its payload and
// one newline, a P line for its payload. The offset of a stream is how many of
// its bytes are in the log; only those may be acknowledged to the guest. Bytes
// after the last newline are held back in memory, and sent again by the guest after a restart.
//
// A sidecar record tells the offsets at one size of one file (by inode). It is
// brought up to date now and then: what the log holds beyond that size is
// parsed on Resume to find the exact offsets. Every step orders its writes so
// that record and log agree whenever the process dies:
//
//	Append:  log, (offset returned), sometimes record
//	Reopen:  record of the old file, open the new file, record of the new file, first line into it
package logfile
