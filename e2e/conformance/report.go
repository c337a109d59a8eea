package conformance

import (
	"encoding/xml"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

// Report is a run's result.
type Report struct {
	Passed, Failed, Skipped []string
	// Excluded were left out by the command line's filters.
	Excluded []string
	// Wall is the time that the suite took.
	Wall time.Duration
}

// Summary is one line.
func (r *Report) Summary() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped, %d excluded, %s",
		len(r.Passed), len(r.Failed), len(r.Skipped), len(r.Excluded), r.Wall.Round(time.Second))
}

type junit struct {
	Suites []struct {
		Cases []struct {
			Name    string `xml:"name,attr"`
			Status  string `xml:"status,attr"`
			Skipped *struct {
				Message string `xml:"message,attr"`
			} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func readReport(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseReport(data)
}

// parseReport reads ginkgo's JUnit file.
func parseReport(data []byte) (*Report, error) {
	var doc junit
	if err := xml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("JUnit report: %w", err)
	}
	r := &Report{}
	for _, s := range doc.Suites {
		for _, c := range s.Cases {
			name := strings.TrimPrefix(c.Name, "[It] ")
			switch {
			case c.Status == "passed" && strings.HasPrefix(c.Name, "["+"It]"):
				r.Passed = append(r.Passed, name)
			case c.Status == "passed": // a suite's own set-up
			case c.Status == "skipped" && c.Skipped != nil && strings.HasPrefix(c.Skipped.Message, "skipped - "):
				r.Skipped = append(r.Skipped, name+": "+strings.TrimPrefix(c.Skipped.Message, "skipped - "))
			case c.Status == "skipped":
				r.Excluded = append(r.Excluded, name)
			default:
				r.Failed = append(r.Failed, name)
			}
		}
	}
	for _, list := range [][]string{r.Passed, r.Failed, r.Skipped, r.Excluded} {
		sort.Strings(list)
	}
	return r, nil
}
