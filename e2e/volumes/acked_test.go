package volumes

import (
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	var a acked
	for _, n := range []int{3, 1, 2} {
		a.add(n)
	}
	if err := a.missing(map[int]bool{1: true, 2: true, 3: true, 4: true}); err != nil {
		t.Errorf("all are there: %v", err)
	}
	err := a.missing(map[int]bool{2: true})
	if err == nil || !strings.Contains(err.Error(), "2 of 3") || !strings.Contains(err.Error(), "[1 3]") {
		t.Errorf("two are lost: %v", err)
	}
}
