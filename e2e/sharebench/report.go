package sharebench

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown is the report for people.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Made by `make bench-shares`: medians of %d rounds, in turns, accelerator %s. Beside each peer's figure stands\nPaddock's share of its time: below 1, Paddock is ahead.\n\n", r.Rounds, r.Accel)
	b.WriteString("| | unit | Paddock | virtio-9p | ratio | virtiofs | ratio |\n|---|---|---:|---:|---:|---:|---:|\n")
	for _, row := range rows {
		name := row.name
		if row.key == "find-many" {
			name = fmt.Sprintf("find over %d files", r.Files)
		}
		fmt.Fprintf(&b, "| %s | %s", name, row.unit)
		own := median(r.By[Subjects[0]][row.key])
		for i, subject := range Subjects {
			v := median(r.By[subject][row.key])
			fmt.Fprintf(&b, " | %s", digits(v))
			if i > 0 {
				fmt.Fprintf(&b, " | %.2f", row.ratio(own, v))
			}
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// ratio is below 1 when own is the better.
func (r row) ratio(own, peer float64) float64 {
	if r.moreIsBetter {
		own, peer = peer, own
	}
	return own / peer
}

func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}

// digits writes three digits that matter.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
