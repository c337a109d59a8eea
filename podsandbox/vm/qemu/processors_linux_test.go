package qemu

import "testing"

func TestProcessors(t *testing.T) {
	for _, c := range []struct {
		asked, host uint32
		accel       string
		boot, most  uint32
	}{
		{0, 4, "tcg", 1, 4}, {0, 4, "kvm", 4, 4}, {0, 128, "kvm", 32, 32}, {0, 1, "kvm", 1, 1},
		{2, 4, "tcg", 2, 4}, {9, 4, "kvm", 4, 4}, {64, 128, "kvm", 64, 64},
	} {
		if boot, most := processors(c.asked, c.host, c.accel); boot != c.boot || most != c.most {
			t.Errorf("%+v: %d at boot, %d at most", c, boot, most)
		}
	}
}
