package posix

import (
	"fmt"
	"regexp"
	"strings"
)

// outcome of a case.
type outcome string

const (
	passed  outcome = "passed"
	failed  outcome = "failed"
	skipped outcome = "skipped"
)

// suite is one that the tests run.
type suite struct {
	name string
	// script runs it in the empty folder $DIR, its working folder.
	script string
	// user runs it.
	user int64
	// cases reads its output.
	cases func(output string) map[string]outcome
}

var suites = []suite{
	{name: "go-fuse posixtest", script: `/suites/posixtest -test.v -posixdir "$DIR"`, cases: goCases},
	{name: "libfuse test_syscalls, as root", script: `/suites/test_syscalls "$DIR"`, cases: libfuseCases},
	{name: "libfuse test_syscalls, as a user", script: `/suites/test_syscalls "$DIR"`, cases: libfuseCases, user: 1000},
	{name: "LMDB's own tests", script: `mkdir testdb; ` + each("mtest mtest2 mtest3 mtest4 mtest5", `rm -f testdb/*; /suites/$c`), cases: told},
	{name: "SQLite speedtest1 --verify", script: speedtest, cases: told},
	{name: "dbench", script: each("1 4", `dbench -c /usr/share/dbench/client.txt -D . -t 3 $c`), cases: told},
	{name: "stress-ng --verify", script: each(stressors, `stress-ng --$c 1 --verify --timeout 1 --temp-path .`), cases: told, user: 1000},
	{name: "SQLite mptester", script: mptester, cases: told},
}

// each runs a command for each case, $c, and tells its exit code.
func each(cases, command string) string {
	return fmt.Sprintf(`for c in %s; do (%s) >out 2>&1; code=$?; echo "case $c $code"; [ $code = 0 ] || tail -n 5 out; done`, strings.Join(strings.Fields(cases), " "), command)
}

// mptester has several processes lock one database, in both kinds of journal.
const mptester = `for journal in delete wal; do
	for script in multiwrite01 crash01; do
		rm -f db db-*
		/suites/mptester db /suites/$script.test --journalmode $journal --timeout 60000 >out 2>&1; code=$?
		echo "case $script-$journal $code"; [ $code = 0 ] || tail -n 5 out
	done
done`

// speedtest ends with a hash of what it has read: being in the case's name, it is compared.
const speedtest = `for options in "--journal delete" "--journal wal" "--journal wal --mmap 100000000" "--journal truncate"; do
	rm -f db db-*
	/suites/speedtest1 --verify --size 1 $options db >out 2>&1; code=$?
	echo "case speedtest1 $options, $(tail -n 1 out) $code"; [ $code = 0 ] || tail -n 5 out
done`

// stressors are those of stress-ng's classes for file systems and I/O that work
// in a folder, and need no device.
const stressors = `access acl aiol chdir chmod chown copy-file dentry dir dirdeep dirmany dup eventfd fallocate fcntl fiemap
	file-ioctl filename flock fpunch fsize fstat getdent hdd inode-flags io iomix lease link locka lockf lockofd
	mknod mmapaddr msync open ramfs readahead rename revio seal seek sendfile sync-file symlink touch unlink utime verity xattr`

var goLine = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestAll/(\S+)`)

// goCases reads the output of go test -v.
func goCases(output string) map[string]outcome {
	all := map[string]outcome{}
	for _, m := range goLine.FindAllStringSubmatch(output, -1) {
		all[m[2]] = map[string]outcome{"PASS": passed, "FAIL": failed, "SKIP": skipped}[m[1]]
	}
	return all
}

var libfuseLine = regexp.MustCompile(`(?m)^ *(\d+) \[(.*)\] (OK$)?`)

// libfuseCases reads "  3 [name] OK", or a complaint in place of OK.
func libfuseCases(output string) map[string]outcome {
	all := map[string]outcome{}
	for _, m := range libfuseLine.FindAllStringSubmatch(output, -1) {
		name := m[1] + " " + m[2]
		if all[name] = failed; m[3] != "" {
			all[name] = passed
		}
	}
	return all
}

var toldLine = regexp.MustCompile(`(?m)^case (.*) (\d+)$`)

// told reads "case NAME CODE". stress-ng's codes 3 and 4 say that the machine has not got what the case needs.
func told(output string) map[string]outcome {
	all := map[string]outcome{}
	for _, m := range toldLine.FindAllStringSubmatch(output, -1) {
		switch m[2] {
		case "0":
			all[m[1]] = passed
		case "3", "4":
			all[m[1]] = skipped
		default:
			all[m[1]] = failed
		}
	}
	return all
}

// count says how many cases came out in a way.
func count(cases map[string]outcome, o outcome) int {
	n := 0
	for _, got := range cases {
		if got == o {
			n++
		}
	}
	return n
}

// tail are the last lines of an output.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
