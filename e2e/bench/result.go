package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Result is one row of results.json. Ratio is paddock/peer, inverted where more is
// better, so that lower always is better.
type Result struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Paddock  float64 `json:"paddock"`
	Peer     float64 `json:"peer"`
	PeerName string  `json:"peer_name"`
	Ratio    float64 `json:"ratio"`
	Runs     int     `json:"runs"`
}

// row's name may hold a %d: how many of its things there were (Subject.Counts).
type row struct {
	samples, name, unit string
	percentile          int
	moreIsBetter        bool
}

var rows = append([]row{
	{"CreatePod", "CreatePod p50", "ms", 50, false},
	{"CreatePod", "CreatePod p95", "ms", 95, false},
	{"CreateContainer", "CreateContainer p50", "ms", 50, false},
	{"StartContainer", "StartContainer p50", "ms", 50, false},
	{"CreateContainer+StartContainer", "CreateContainer+StartContainer p50", "ms", 50, false},
	{"apply to first log line", "apply to first log line p50", "ms", 50, false},
	{"ExecSync", "ExecSync p50", "ms", 50, false},
	{"StopContainer", "StopContainer p50", "ms", 50, false},
	{"StopPod", "StopPod p50", "ms", 50, false},
	{"RemovePod", "RemovePod p50", "ms", 50, false},
	{"idle pod PSS", "idle pod PSS MiB", "MiB", 50, false},
	{"unpack", "unpack MB/s", "MB/s", 50, true},
	{CloneRow, "CreatePod, no sandbox ready, p50", "ms", 50, false},
	{CloneReadyRow, "clone to agent ready p50", "ms", 50, false},
	{ColdRow, "CreatePod, no template either, p50", "ms", 50, false},
	{burstRow, "burst %d pods p50", "ms", 50, false},
	{burstRow, "burst %d pods p95", "ms", 95, false},
	{burstRate, "burst %d pods, pods/s", "1/s", 50, true},
	{densePSS, "idle pod PSS MiB, %d pods", "MiB", 50, false},
	{daemonPSS, "daemon's share PSS MiB a pod, %d pods", "MiB", 50, false},
	{listFew, "ListContainers of 10 p50", "ms", 50, false},
	{listMany, "ListContainers of %d p50", "ms", 50, false},
	{statusFew, "ContainerStatus, one of 10, p50", "ms", 50, false},
	{statusMany, "ContainerStatus, one of %d, p50", "ms", 50, false},
	{SuiteWall, SuiteWall, "s", 50, false},
}, critestRows()...)

// peerSamples are the peer's for rows of which it has none of that name.
var peerSamples = map[string]string{CloneRow: "CreatePod", CloneReadyRow: "CreatePod", ColdRow: "CreatePod"}

// Samples of pods that found nothing made ahead.
const (
	CloneRow      = "CreatePod clone"
	CloneReadyRow = "clone to agent ready"
	ColdRow       = "CreatePod cold"
)

const (
	burstRow  = "burst"
	burstRate = "burst rate"
	densePSS  = "dense PSS"
	daemonPSS = "daemon PSS"
)

// SuiteWall is the row of how long Kubernetes' validation suite takes, in seconds.
const SuiteWall = "critest -parallel=2 wall time"

// critestCalls are the calls that critest -benchmark measures; samples of them
// are named by CritestRow.
var critestCalls = []string{
	"CreatePod", "StatusPod", "StopPod", "RemovePod",
	"CreateContainer", "StartContainer", "StatusContainer", "StopContainer", "RemoveContainer",
}

// CritestRow names the samples, in ms, of one of critest's calls.
func CritestRow(call string) string { return "critest " + call }

func critestRows() []row {
	var out []row
	for _, call := range critestCalls {
		for _, p := range []int{50, 95} {
			out = append(out, row{CritestRow(call), fmt.Sprintf("%s p%d", CritestRow(call), p), "ms", p, false})
		}
	}
	return out
}

// Compare makes the rows of what both have samples for.
func Compare(paddock, peer *Subject) []Result {
	var out []Result
	for _, r := range rows {
		a, b := paddock.Samples[r.samples], peer.Samples[cmp.Or(peerSamples[r.samples], r.samples)]
		if len(a) == 0 || len(b) == 0 {
			continue
		}
		name := r.name
		if n := paddock.Counts[r.samples]; strings.Contains(name, "%d") {
			name = fmt.Sprintf(name, n)
		}
		res := Result{Name: name, Unit: r.unit, PeerName: peer.Name, Runs: len(a),
			Paddock: percentile(a, r.percentile), Peer: percentile(b, r.percentile)}
		res.Ratio = res.Paddock / res.Peer
		if r.moreIsBetter {
			res.Ratio = res.Peer / res.Paddock
		}
		out = append(out, res)
	}
	return append(out, paddock.Shares...)
}

// percentile is the nearest-rank percentile.
func percentile(samples []float64, p int) float64 {
	s := slices.Sorted(slices.Values(samples))
	return s[max(0, (len(s)*p+99)/100-1)]
}

// Table is the rows for people, in Markdown.
func Table(results []Result) string {
	var b strings.Builder
	b.WriteString("| | unit | Paddock | peer | ratio | runs |\n|---|---|---:|---:|---:|---:|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %.1f | %.1f | %.2f | %d |\n", r.Name, r.Unit, r.Paddock, r.Peer, r.Ratio, r.Runs)
	}
	return b.String()
}

// WriteJSON writes the rows to a file, whose folder it makes.
func WriteJSON(path string, results []Result) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
