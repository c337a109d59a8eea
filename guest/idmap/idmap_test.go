package idmap

import "testing"

func TestTranslation(t *testing.T) {
	r := Range{Host: 65536, Size: 65536}
	for _, c := range []struct {
		inside, outside uint32
		ok              bool
	}{
		{0, 65536, true}, {1000, 66536, true}, {65535, 131071, true},
		{65536, None, false}, {None - 1, None, false}, {None, None, false},
	} {
		if got, ok := r.ToHost(c.inside); got != c.outside || ok != c.ok {
			t.Errorf("ToHost(%d) = %d, %v; want %d, %v", c.inside, got, ok, c.outside, c.ok)
		}
		if !c.ok {
			continue
		}
		if got, ok := r.FromHost(c.outside); got != c.inside || !ok {
			t.Errorf("FromHost(%d) = %d, %v; want %d", c.outside, got, ok, c.inside)
		}
	}
	for _, outside := range []uint32{0, 65534, 65535, 131072, None} {
		if got, ok := r.FromHost(outside); ok || got != None {
			t.Errorf("FromHost(%d) = %d, %v; want none", outside, got, ok)
		}
	}
	high := Range{Host: None - 10, Size: 10}
	if got, ok := high.ToHost(9); got != None-1 || !ok {
		t.Errorf("the highest id is %d, %v", got, ok)
	}
	if _, ok := high.FromHost(None); ok {
		t.Error("no id is mapped")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		r  Range
		ok bool
	}{
		{Range{Host: 65536, Size: 65536}, true},
		{Range{Host: 1000, Size: 100000}, true},
		{Range{Host: 0, Size: 65536}, true},
		{Range{Host: None - MinSize, Size: MinSize}, true},
		{Range{Host: None - MinSize + 1, Size: MinSize}, false},
		{Range{Host: None, Size: None}, false},
		{Range{Host: 1, Size: None}, false},
		{Range{Host: 0, Size: None}, true},
		{Range{Host: 65536, Size: MinSize - 1}, false},
		{Range{Host: 65536}, false},
		{Range{Container: 1, Host: 65536, Size: 65536}, false},
	} {
		if err := c.r.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}
