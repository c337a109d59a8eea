package volumes

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/images"
)

// jenkins is what Jenkins does with its home, by a Java program: Debian has no Jenkins.
type jenkins struct {
	built acked
}

//go:embed jenkins/JenkinsHome.java
var jenkinsSource []byte

const jvm = "usr/lib/jvm/java-17-openjdk-amd64"

var jenkinsImage = debian.Image{
	Name: "jenkins",
	Layer: &debian.Layer{
		Alone: []string{"openjdk-17-jre-headless"}, Below: []*debian.Layer{debian.Base},
	},
	Files:  compiled,
	Config: v1.Config{StopSignal: "SIGTERM"},
}

// compiled is the program, compiled by Debian's own compiler, which is unpacked and not installed.
func compiled(ctx context.Context, a *debian.Archive, cache string) (images.Tree, error) {
	sum := sha256.Sum256(jenkinsSource)
	dir := filepath.Join(cache, fmt.Sprintf("jenkins-%x", sum[:8]))
	if _, err := os.Stat(dir); err != nil {
		if err := compile(ctx, a, dir); err != nil {
			return nil, err
		}
	}
	classes, err := images.ReadTree(dir)
	if err != nil {
		return nil, err
	}
	tree := images.Tree{"program": images.Dir(0o755)}
	for name, file := range classes {
		tree["program/"+name] = file
	}
	return tree, nil
}

func compile(ctx context.Context, a *debian.Archive, dir string) (err error) {
	work, err := os.MkdirTemp("", "paddock-jdk-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	debs, err := a.Fetch(ctx, "openjdk-17-jdk-headless", "openjdk-17-jre-headless")
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, work).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", deb, err, out)
		}
	}
	// Its configuration is linked to by absolute paths.
	if err := os.Rename(filepath.Join(work, "etc/java-17-openjdk/jvm-amd64.cfg"), filepath.Join(work, jvm, "lib/jvm.cfg")); err != nil {
		return err
	}
	source, out := filepath.Join(work, "JenkinsHome.java"), filepath.Join(work, "classes")
	if err := os.WriteFile(source, jenkinsSource, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(work, jvm, "bin/javac"), "-Xlint:all", "-Werror", "-d", out, source)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("javac: %w: %s", err, text)
	}
	// The cache may be on another file system than the folder for temporary files.
	if err := os.CopyFS(dir+".new", os.DirFS(out)); err != nil {
		return err
	}
	return os.Rename(dir+".new", dir)
}

func (s *jenkins) name() string { return "Jenkins's home (Java)" }

// java is the command line of a small virtual machine.
func java(args ...string) []string {
	return append([]string{"/" + jvm + "/bin/java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "/program", "JenkinsHome"}, args...)
}

func (s *jenkins) container() container {
	return container{image: jenkinsImage, command: java("serve", "/var/jenkins_home"), user: debian.PlainUser, memory: 256, data: "/var/jenkins_home"}
}

// await waits until the program serves.
func (s *jenkins) await(ctx context.Context, r *running) error {
	return r.Until(ctx, func(context.Context) error {
		if !r.Logged(" serving") {
			return errors.New("the program does not say that it serves")
		}
		return nil
	})
}

func (s *jenkins) use(ctx context.Context, r *running) error {
	if err := s.await(ctx, r); err != nil {
		return err
	}
	return s.held(ctx, r)
}

// held checks that the home's lock keeps out a second process in the pod, and one on the host.
func (s *jenkins) held(ctx context.Context, r *running) error {
	out, err := r.Exec(ctx, java("contend", "/var/jenkins_home")...)
	if err != nil {
		return err
	}
	if out != "held by another\n" {
		return fmt.Errorf("a second process says that the home is %s", out)
	}
	f, err := os.OpenFile(filepath.Join(r.dir, ".lock"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("locking the home on the host: %v, want EAGAIN", err)
	}
	return nil
}

// buildsBeforeKill are some hundred replaced, linked, mapped and deleted files.
const buildsBeforeKill = 40

func (s *jenkins) load(ctx context.Context, r *running, enough func()) error {
	// What another process adds is told by the watch.
	if _, err := r.Exec(ctx, "touch", "/var/jenkins_home/userContent/added"); err != nil {
		return err
	}
	for {
		built, err := r.Numbers("built ")
		if err != nil {
			return err
		}
		for n := range built {
			s.built.add(n)
		}
		if s.built.count() >= buildsBeforeKill && r.Logged("watched ENTRY_CREATE userContent/added") {
			enough()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		if err := r.Ended(ctx); err != nil && s.built.count() < buildsBeforeKill {
			return err
		}
	}
}

func (s *jenkins) check(ctx context.Context, r *running) (string, error) {
	if err := s.await(ctx, r); err != nil {
		return "", err
	}
	found, err := r.Numbers("found ")
	if err != nil {
		return "", err
	}
	if err := s.built.missing(found); err != nil {
		return "", err
	}
	if err := s.held(ctx, r); err != nil {
		return "", err
	}
	if err := r.Until(ctx, func(context.Context) error {
		if built, err := r.Numbers("built "); err != nil || len(built) == 0 {
			return errors.Join(err, errors.New("no further build"))
		}
		return nil
	}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d acknowledged builds are there, whole; lock, watch and links work", s.built.count()), nil
}
