package winproc

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func folder(t *testing.T) Folder {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestAProcessesFolder(t *testing.T) {
	f := folder(t)
	want := Request{Args: []string{"a", "b c"}, CommandLine: `a "b c"`, Env: []string{"A=B"}, Dir: `C:\`}
	if err := WriteRequest(f, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRequest(f)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, failed := Failed(f); failed || Started(f) {
		t.Error("it runs, or failed, before anybody said so")
	}
	if _, err := ReadExit(f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exit code before the end: %v", err)
	}
	if err := errors.Join(WriteStarted(f), WriteExit(f, 0xC000013A), WriteFailed(f, "why"), WriteEvent(f, CtrlShutdown)); err != nil {
		t.Fatal(err)
	}
	if code, err := ReadExit(f); code != 0xC000013A || err != nil {
		t.Errorf("exit code %#x, %v", code, err)
	}
	if why, failed := Failed(f); why != "why" || !failed || !Started(f) {
		t.Errorf("failed %v: %q", failed, why)
	}
	if e, err := ReadEvent(f); e != CtrlShutdown || err != nil {
		t.Errorf("event %v, %v", e, err)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	f := folder(t)
	for name, content := range map[string]string{requestFile: `{"Args":[]}`, exitFile: "4294967296", eventFile: "3"} {
		if err := f.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadRequest(f); err == nil {
		t.Error("a request without a program was read")
	}
	if _, err := ReadExit(f); err == nil {
		t.Error("an exit code of 33 bits was read")
	}
	if e, err := ReadEvent(f); err == nil {
		t.Errorf("event %v was read", e)
	}
}
