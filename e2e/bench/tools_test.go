package bench

import "testing"

// What fio 3.33 and iperf3 3.12 print, shortened.
const (
	fioReport = `note: both iodepth >= 1 and synchronous I/O engine are selected
{"fio version": "fio-3.33", "jobs": [{"jobname": "job", "read": {"bw_bytes": 2000000, "iops": 500.5}, "write": {"bw_bytes": 0, "iops": 0}}]}`
	iperfReport = `{"start": {}, "end": {"sum_sent": {"bits_per_second": 3e9}, "sum_received": {"bits_per_second": 2.5e9}}}`
)

func TestReportsOfTools(t *testing.T) {
	side, err := parseFio(fioReport, true)
	if err != nil || side.megabytes() != 2 || side.operations() != 500.5 {
		t.Errorf("fio: %+v, %v", side, err)
	}
	if rate, err := parseIperf(iperfReport); err != nil || rate != 2500 {
		t.Errorf("iperf3: %v, %v", rate, err)
	}
	if _, err := parseFio(fioReport, false); err == nil {
		t.Error("fio that wrote nothing is no error")
	}
	for _, bad := range []string{"", "{}", "fio: failed", `{"jobs": []}`} {
		if _, err := parseFio(bad, true); err == nil {
			t.Errorf("fio: %q is no error", bad)
		}
		if _, err := parseIperf(bad); err == nil {
			t.Errorf("iperf3: %q is no error", bad)
		}
	}
}

func TestRowsSayHowMany(t *testing.T) {
	a, b := &Subject{}, &Subject{Name: "b"}
	for _, s := range []*Subject{a, b} {
		s.count(50, burstRow)
		s.Add(burstRow, 3)
	}
	all := Compare(a, b)
	if len(all) != 2 || all[1].Name != "burst 50 pods p95" {
		t.Errorf("%+v", all)
	}
}
