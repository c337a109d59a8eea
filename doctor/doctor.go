package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
)

// Level is how a check came out.
type Level uint8

const (
	// OK: present and usable.
	OK Level = iota
	// Note: absent, but pods run without it.
	Note
	// Fail: pods cannot run.
	Fail
)

// String is the word that reports show.
func (l Level) String() string {
	return [...]string{"ok", "note", "FAIL"}[l]
}

// MarshalText makes reports carry the word.
func (l Level) MarshalText() ([]byte, error) { return []byte(strings.ToLower(l.String())), nil }

// Result is the outcome of one check.
type Result struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	// Fix says what to do; empty when all is well.
	Fix string `json:"fix,omitempty"`
}

// Check looks at one thing. It must honour ctx and change nothing on the host.
type Check struct {
	Name string
	Run  func(ctx context.Context) Result
}

// Run runs the checks side by side and returns their results in order.
func Run(ctx context.Context, checks []Check) []Result {
	results := make([]Result, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			results[i] = c.Run(ctx)
			results[i].Name = c.Name
		})
	}
	wg.Wait()
	return results
}

// Failed reports whether any result keeps pods from running.
func Failed(results []Result) bool {
	for _, r := range results {
		if r.Level == Fail {
			return true
		}
	}
	return false
}

// WriteTable prints results for people.
func WriteTable(w io.Writer, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", r.Level, r.Name, r.Detail)
		if r.Fix != "" {
			fmt.Fprintf(tw, "\t\t  fix: %s\n", r.Fix)
		}
	}
	return tw.Flush()
}

// WriteJSON prints results for programs.
func WriteJSON(w io.Writer, results []Result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(results)
}
