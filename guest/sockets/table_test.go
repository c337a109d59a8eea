package sockets

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0
`

const udp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue
  1: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000
  2: 00000000000000000000000001000000:9000 00000000000000000000000001000000:0035 01 00000000:00000000
  3: 0000000000000000FFFF00000100007F:0036 00000000000000000000000000000000:0000 07 00000000:00000000
`

func listener(udp bool, addr string) Listener {
	return Listener{UDP: udp, Addr: netip.MustParseAddrPort(addr)}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		table string
		udp   bool
		limit int
		want  []Listener
		fails bool
	}{
		"TCP, up to the first that does not listen": {table: tcpTable, limit: 10, want: []Listener{listener(false, "127.0.0.1:8080"), listener(false, "0.0.0.0:80")}},
		"a limit":                   {table: tcpTable, limit: 1, want: []Listener{listener(false, "127.0.0.1:8080")}},
		"UDP, connected and mapped": {table: udp6Table, udp: true, limit: 10, want: []Listener{listener(true, "[::1]:53"), listener(true, "127.0.0.1:54")}},
		"empty":                     {},
		"short line":                {table: "x\n0: a b\n", limit: 1, fails: true},
		"bad address":               {table: "x\n0: 01:0050 0:0 0A\n", limit: 1, fails: true},
		"bad port":                  {table: "x\n0: 0100007F:10000 0:0 0A\n", limit: 1, fails: true},
	} {
		got, err := parse(strings.NewReader(tt.table), tt.udp, tt.limit)
		if (err != nil) != tt.fails || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(tcpTable, false)
	f.Add(udp6Table, true)
	f.Fuzz(func(t *testing.T, table string, udp bool) {
		if found, _ := parse(strings.NewReader(table), udp, 3); len(found) > 3 {
			t.Errorf("%d listeners, more than the limit", len(found))
		}
	})
}
