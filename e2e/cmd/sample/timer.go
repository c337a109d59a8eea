package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// timer takes the time of steps, one after another.
type timer struct {
	steps []step
}

type step struct {
	name string
	took time.Duration
}

func (t *timer) add(name string, took time.Duration) { t.steps = append(t.steps, step{name, took}) }

// step runs f and takes its time.
func (t *timer) step(name string, f func() error) error {
	begin := time.Now()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	t.add(name, time.Since(begin))
	return nil
}

// print prints a table.
func (t *timer) print(title string, to io.Writer) {
	fmt.Fprintf(to, "\n%s\n", title)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, s := range t.steps {
		fmt.Fprintf(w, "  %s\t%7.1f ms\n", s.name, float64(s.took.Microseconds())/1000)
	}
	w.Flush()
}
