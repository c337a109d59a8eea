package sharebench

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"

	"github.com/paddock-run/paddock/e2e/images"
)

// printed is what the script prints, with the fields of fio's lines that matter.
func printed() string {
	fields := make([]string, 60)
	fields[fioReadKB], fields[fioReadIOPS], fields[fioWriteKB], fields[fioWriteIOPS] = "50000", "1200", "40000", "900"
	var b strings.Builder
	for _, r := range rows {
		if r.moreIsBetter {
			b.WriteString("fio " + r.key + " " + strings.Join(fields, ";") + "\n")
		} else {
			b.WriteString("took " + r.key + " 100.250000000 101.750000000\n")
		}
	}
	return b.String()
}

func TestRead(t *testing.T) {
	s := Samples{}
	if err := s.read(printed()); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{
		"read-1M": 50, "write-1M": 40, "random-read-4k": 1200, "random-write-4k": 900, "random-write-4k-fsync": 900, "git-status": 1.5,
	} {
		if !slices.Equal(s[key], []float64{want}) {
			t.Errorf("%s: %v, want %v", key, s[key], want)
		}
	}
	for what, output := range map[string]string{
		"a row is missing":  strings.Replace(printed(), "took untar", "took nothing", 1),
		"a program failed":  "failed untar: no space\n" + printed(),
		"fio measured zero": strings.ReplaceAll(printed(), ";1200;", ";0;"),
		"a line is cut":     strings.Replace(printed(), "fio read-1M ", "fio read-1M 3;fio-3.33\nfio ", 1),
	} {
		if err := (Samples{}).read(output); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestMarkdown(t *testing.T) {
	r := Report{Accel: "tcg", Files: 7, Rounds: 1, By: map[string]Samples{}}
	for i, subject := range Subjects {
		s := Samples{}
		for _, row := range rows {
			s[row.key] = []float64{float64(i + 1)}
		}
		r.By[subject] = s
	}
	text := r.Markdown()
	for _, want := range []string{
		"| 4k random read | 1/s | 1.00 | 2.00 | 2.00 | 3.00 | 3.00 |\n", // of rates more is better
		"| find over 7 files | s | 1.00 | 2.00 | 0.50 | 3.00 | 0.33 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestCpio has Debian's busybox read an archive.
func TestCpio(t *testing.T) {
	layer, err := images.Tree{
		"dir": images.Dir(0o755), "dir/file": images.File(0o640, "text"), "dir/link": images.Symlink("file"),
	}.Layer()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := cpio.NewWriter(&archive)
	if err := addTar(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("busybox", "cpio", "-i", "-d")
	cmd.Dir, cmd.Stdin = dir, &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for _, shell := range []string{`[ "$(cat dir/link)" = text ]`, `[ "$(stat -c %a dir/file)" = 640 ]`, `[ "$(readlink dir/link)" = file ]`} {
		cmd := exec.Command("sh", "-c", shell)
		cmd.Dir = dir
		if err := cmd.Run(); err != nil {
			t.Errorf("not true: %s", shell)
		}
	}
}
