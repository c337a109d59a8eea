package posix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/environment"
	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/pod"
)

const host = "posix.paddock.test"

// Options of a run.
type Options struct {
	// Root is the source tree, Cache keeps packages and programs, Out gets logs and outputs.
	Root, Cache, Out string
	// Only runs the suites whose name contains one of these words, with commas between them.
	Only string
}

func (o Options) wants(s suite) bool {
	return slices.ContainsFunc(strings.Split(o.Only, ","), func(word string) bool {
		return strings.Contains(strings.ToLower(s.name), strings.ToLower(word))
	})
}

// image has the suites in it.
func (o Options) image() debian.Image {
	return debian.Image{
		Name: "suites",
		Layer: &debian.Layer{
			Packages: []string{"stress-ng", "dbench"}, Below: []*debian.Layer{debian.Base},
		},
		Files: func(ctx context.Context, a *debian.Archive, cache string) (images.Tree, error) {
			return built(ctx, o.Root, a, cache)
		},
	}
}

// Prepare makes the image, which needs the network where it is not cached.
func Prepare(ctx context.Context, o Options) (environment.Images, error) {
	img := o.image()
	made, err := img.Build(ctx, o.Cache)
	return environment.Images{img.Name: made}, err
}

// places are where suites run, by the name of a folder in the container.
var places = []string{"share", "ext4"}

// Comparison is what came of one suite in both places.
type Comparison struct {
	Suite string
	// Lines tell the counts, and each case whose outcome differs or is a failure.
	Lines []string
	// Differs says that a case failed on the share and not on ext4.
	Differs bool
}

// Run runs the suites and prints each's comparison as it ends.
func Run(ctx context.Context, o Options, tell func(Comparison)) (err error) {
	all, err := Prepare(ctx, o)
	if err != nil {
		return err
	}
	env, err := environment.Start(ctx, environment.Options{Name: "pdkpos", Bridge: "pdkp", Push: all.At(host), NoPool: true})
	defer func() { err = errors.Join(err, env.Close(filepath.Join(o.Out, "paddock.log"))) }()
	if err != nil {
		return err
	}
	p, err := pod.Run(ctx, env.Client, "suites", filepath.Join(o.Out, "logs"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Remove(context.WithoutCancel(ctx))) }()
	mounts := map[string]string{
		"/share": filepath.Join(env.Root, "share"),
		// The path that kubelet gives emptyDirs: they lie on the pod's own disk.
		"/ext4": filepath.Join(env.Root, "pods/uid-suites/volumes/kubernetes.io~empty-dir/ext4"),
	}
	for _, dir := range mounts {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o777)); err != nil {
			return err
		}
	}
	users := map[int64]*pod.Running{} // a container for each
	for _, s := range suites {
		if !o.wants(s) {
			continue
		}
		if users[s.user] == nil {
			if users[s.user], err = p.Start(ctx, fmt.Sprint("user-", s.user), pod.Container{
				Image: environment.Reference(host, "suites"), Command: []string{"sleep", "100000"},
				Mounts: mounts, Memory: 256, User: s.user, Privileged: s.user == 0,
			}); err != nil {
				return err
			}
			if err := onTheFileSystems(ctx, users[s.user]); err != nil {
				return err
			}
		}
		compared, err := s.compare(ctx, users[s.user], o.Out)
		if err != nil {
			return err
		}
		tell(compared)
	}
	return nil
}

// onTheFileSystems makes sure that the places are what their names say.
func onTheFileSystems(ctx context.Context, c *pod.Running) error {
	for place, want := range map[string]string{"/share": "fuseblk", "/ext4": "ext2/ext3"} {
		got, err := c.Exec(ctx, "stat", "-f", "-c", "%T", place)
		if err != nil {
			return err
		}
		if got = strings.TrimSpace(got); got != want {
			return fmt.Errorf("%s lies on %s, want %s", place, got, want)
		}
	}
	return nil
}

func (s suite) compare(ctx context.Context, c *pod.Running, out string) (Comparison, error) {
	results := map[string]map[string]outcome{}
	compared := Comparison{Suite: s.name}
	for _, place := range places {
		start := time.Now()
		output, err := s.run(ctx, c, place)
		if err != nil {
			return compared, fmt.Errorf("%s on %s: %w", s.name, place, err)
		}
		file := filepath.Join(out, strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(s.name)+"-"+place+".log")
		if err := os.WriteFile(file, []byte(output), 0o644); err != nil {
			return compared, err
		}
		r := s.cases(output)
		if len(r) == 0 {
			return compared, fmt.Errorf("%s on %s told of no case; its last lines:\n%s", s.name, place, tail(output, 10))
		}
		results[place] = r
		compared.Lines = append(compared.Lines, fmt.Sprintf("%-6s %3d passed, %d failed, %d skipped, %.0f s", place,
			count(r, passed), count(r, failed), count(r, skipped), time.Since(start).Seconds()))
	}
	share, ext4 := results["share"], results["ext4"]
	names := maps.Clone(share)
	maps.Copy(names, ext4)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if share[name] != ext4[name] || share[name] == failed {
			compared.Lines = append(compared.Lines, fmt.Sprintf("  %s: share %s, ext4 %s", name, orNot(share[name]), orNot(ext4[name])))
		}
		compared.Differs = compared.Differs || share[name] != passed && ext4[name] == passed
	}
	return compared, nil
}

func orNot(o outcome) outcome {
	if o == "" {
		return "not run"
	}
	return o
}

// run runs the suite in a new folder of a place. Its exit code is not asked: its cases tell.
func (s suite) run(ctx context.Context, c *pod.Running, place string) (string, error) {
	script := fmt.Sprintf(`DIR=$(mktemp -d /%s/suite.XXXXXX); export DIR; chmod 777 "$DIR"; cd "$DIR"; (%s) 2>&1; cd /; rm -rf "$DIR"; true`, place, s.script)
	return c.Exec(ctx, "sh", "-c", script)
}
