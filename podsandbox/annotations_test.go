package podsandbox

import (
	"errors"
	"testing"
)

func TestChangeNotices(t *testing.T) {
	for _, tc := range []struct {
		off        bool
		annotation string
		want       bool
		err        error
	}{
		{false, "", true, nil},
		{true, "", false, nil},
		{false, "false", false, nil},
		{true, "true", true, nil},
		{false, "sometimes", false, ErrInvalid},
	} {
		annotations := map[string]string{}
		if tc.annotation != "" {
			annotations[AnnotationChangeNotices] = tc.annotation
		}
		o, err := Config{NoChangeNotices: tc.off}.options(annotations)
		if !errors.Is(err, tc.err) || err == nil && o.changeNotices != tc.want {
			t.Errorf("%+v: %v, %v", tc, o.changeNotices, err)
		}
	}
}
