package sharebench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/environment"
	"github.com/paddock-run/paddock/e2e/pod"
)

const host = "sharebench.paddock.test"

// Options of a run.
type Options struct {
	// Cache keeps packages and programs, Out gets logs and outputs.
	Cache, Out string
	// Rounds is how often each is measured, Seconds how long each of fio's jobs runs.
	Rounds, Seconds int
	// Files are in the large folder.
	Files int
}

// Report is what was measured.
type Report struct {
	Accel  string
	Files  int
	Rounds int
	// By is by who was measured: "Paddock", "virtio-9p", "virtiofs".
	By map[string]Samples
}

// Subjects are who is measured, in their order of turns.
var Subjects = []string{"Paddock", "virtio-9p", "virtiofs"}

// Prepare makes image and VMs, which needs the network where they are not cached.
func Prepare(ctx context.Context, o Options) (v1.Image, error) {
	img, err := image.Build(ctx, o.Cache)
	if err != nil {
		return nil, err
	}
	_, err = makeRoot(ctx, img, o.Cache)
	return img, err
}

// Run measures all in turns, and tells of each turn as it ends.
func Run(ctx context.Context, o Options, tell func(string)) (_ *Report, err error) {
	img, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	env, err := environment.Start(ctx, environment.Options{
		Name: "pdkshare", Bridge: "pdks", Push: environment.Images{image.Name: img}.At(host), NoPool: true,
	})
	defer func() { err = errors.Join(err, env.Close(filepath.Join(o.Out, "paddock.log"))) }()
	if err != nil {
		return nil, err
	}
	r := &runner{Options: o, env: env, shared: filepath.Join(env.Root, "shared")}
	if r.accel, err = env.Client.Accelerator(ctx); err != nil {
		return nil, err
	}
	tell(fmt.Sprintf("making %d files", o.Files))
	if err := makeMany(filepath.Join(r.shared, "many"), o.Files); err != nil {
		return nil, err
	}
	report := &Report{Accel: r.accel, Files: o.Files, Rounds: o.Rounds, By: map[string]Samples{}}
	for round := range o.Rounds {
		for _, subject := range Subjects {
			start := time.Now()
			if report.By[subject] == nil {
				report.By[subject] = Samples{}
			}
			if err := r.turn(ctx, subject, round, report.By[subject]); err != nil {
				return nil, fmt.Errorf("%s: %w", subject, err)
			}
			tell(fmt.Sprintf("round %d of %d: %s, %.0f s", round+1, o.Rounds, subject, time.Since(start).Seconds()))
		}
	}
	return report, nil
}

type runner struct {
	Options
	env    *environment.Environment
	shared string
	accel  string
}

// turn measures one of them once.
func (r *runner) turn(ctx context.Context, subject string, round int, s Samples) error {
	work := fmt.Sprintf("work-%d", round)
	measure := r.pod
	if subject != Subjects[0] {
		measure = func(ctx context.Context, work string) (string, error) {
			kind := map[string]peerKind{Subjects[1]: virtio9P, Subjects[2]: virtioFS}[subject]
			p := peer{kind: kind, root: rootIn(r.Cache), accel: r.accel, shared: r.shared, dir: r.env.Root}
			return p.run(ctx, work, r.Seconds)
		}
	}
	output, err := measure(ctx, work)
	if err != nil {
		return err
	}
	log := filepath.Join(r.Out, fmt.Sprintf("%s-%d.log", subject, round))
	return errors.Join(os.WriteFile(log, []byte(output), 0o644), os.RemoveAll(filepath.Join(r.shared, work)), s.read(output))
}

// pod measures in a pod of its own.
func (r *runner) pod(ctx context.Context, work string) (_ string, err error) {
	p, err := pod.Run(ctx, r.env.Client, work, filepath.Join(r.Out, "logs"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.Remove(context.WithoutCancel(ctx))) }()
	c, err := p.Start(ctx, "bench", pod.Container{
		Image: environment.Reference(host, image.Name), Command: []string{"sleep", "100000"}, Privileged: true, Memory: 768,
		Mounts: map[string]string{"/share": r.shared},
	})
	if err != nil {
		return "", err
	}
	return c.Exec(ctx, "sh", "/bench/work.sh", "/share/"+work, fmt.Sprint(r.Seconds))
}

// filesEach are in each folder of the large one.
const filesEach = 1000

// makeMany makes empty files in folders.
func makeMany(dir string, files int) error {
	for n := range files {
		in := filepath.Join(dir, fmt.Sprintf("folder-%d", n/filesEach))
		if n%filesEach == 0 {
			if err := os.MkdirAll(in, 0o755); err != nil {
				return err
			}
		}
		f, err := os.Create(filepath.Join(in, fmt.Sprintf("file-%d", n)))
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// await waits until a file is there.
func await(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not appear", file)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
