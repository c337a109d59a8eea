package carry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	want := Pod{Version: version, Groups: []int64{1, 2}, StrictGroups: true, Containers: map[string]Container{
		"a": {User: new(int64(0)), Group: new(int64(7)), NonRoot: true, AddCapabilities: []string{"NET_ADMIN"}, Seccomp: Seccomp{Type: "RuntimeDefault"}},
		"b": {},
	}}
	text, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(text)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":              "",
		"no object":            `"x"`,
		"another version":      `{"version":2,"containers":{}}`,
		"no version":           `{"containers":{}}`,
		"a field it lacks":     `{"version":1,"containers":{"a":{"landlock":true}}}`,
		"more than one value":  `{"version":1,"containers":{}} {}`,
		"a user that is none":  `{"version":1,"containers":{"a":{"user":"root"}}}`,
		"more than may arrive": `{"version":1,"containers":{"` + strings.Repeat("x", maxBytes) + `":{}}}`,
	} {
		if p, err := Decode(text); err == nil {
			t.Errorf("%s: read as %+v", what, p)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"version":1,"groups":[1],"containers":{"a":{"user":0,"seccomp":{"type":"Localhost","file":"x"}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := Decode(again); err != nil || !cmp.Equal(p.Containers, q.Containers) && len(p.Containers)+len(q.Containers) > 0 {
			t.Errorf("%v: %s", err, cmp.Diff(p, q))
		}
	})
}
