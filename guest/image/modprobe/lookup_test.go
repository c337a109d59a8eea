package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatches(t *testing.T) {
	const list = `nf_tables /m/nf_tables.ko
nft_chain_2_nat /m/nft_chain_nat.ko
nft_chain_* /m/other.ko
pci:v00001AF4d*sv* /m/virtio_pci.ko
nf_tables /m/nf_tables.ko
broken
[ /m/bad-pattern.ko
`
	for _, c := range []struct {
		request string
		want    []string
	}{
		{"nf_tables", []string{"/m/nf_tables.ko"}},
		{"nf-tables", []string{"/m/nf_tables.ko"}},
		{"nft-chain-2-nat", []string{"/m/nft_chain_nat.ko", "/m/other.ko"}},
		{"pci:v00001AF4d00001000sv1", []string{"/m/virtio_pci.ko"}},
		{"nf_table", nil},
		{"", nil},
		{"[", nil},
	} {
		got, err := matches(strings.NewReader(list), c.request)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("matches(%q): -want +got\n%s", c.request, d)
		}
	}
}

func TestLoadOrder(t *testing.T) {
	const list = "/m/a.ko: /m/c.ko /m/b.ko\n/m/b.ko: /m/c.ko\n/m/c.ko:\n"
	got, err := loadOrder(strings.NewReader(list), "/m/a.ko")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"/m/c.ko", "/m/b.ko", "/m/a.ko"}, got); d != "" {
		t.Error(d)
	}
	if _, err := loadOrder(strings.NewReader(list), "/m/d.ko"); err == nil {
		t.Error("a module that is not listed was found")
	}
}
