package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/paddock-run/paddock/e2e/pod"
)

// rawDisk is what the places of a pod are compared with: a disk of the same QEMU, without a file system.
const rawDisk = "raw disk of the same VM"

// diskMB is the size of the file, and of the disk, that fio works on.
const diskMB = 256

// diskJobs are fio's, in the order in which they run: the first makes the file.
var diskJobs = []struct {
	name, unit string
	rw, bs     string
	depth      int
	of         func(fioSide) float64
}{
	{"write 1M", "MB/s", "write", "1M", 4, fioSide.megabytes},
	{"read 1M", "MB/s", "read", "1M", 4, fioSide.megabytes},
	{"randread 4k", "1/s", "randread", "4k", 16, fioSide.operations},
	{"randwrite 4k", "1/s", "randwrite", "4k", 16, fioSide.operations},
}

// fioSide is what fio's JSON says of reads, or of writes.
type fioSide struct {
	Bytes float64 `json:"bw_bytes"` // a second
	IOPS  float64 `json:"iops"`
}

func (s fioSide) megabytes() float64  { return s.Bytes / 1e6 }
func (s fioSide) operations() float64 { return s.IOPS }

// Disks has fio work on a pod's root file system, its scratch disk, a host path
// and a raw disk, one after the other, job by job. dir is a folder on the host's disk.
func (s *Subject) Disks(ctx context.Context, image, dir string) (err error) {
	device, detach, err := loopDevice(ctx, filepath.Join(dir, "raw"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, detach()) }()
	p, err := pod.Run(ctx, s.Client, "disks", s.LogDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Remove(context.WithoutCancel(ctx))) }()
	mounts := map[string]string{
		"/share": filepath.Join(dir, "share"),
		// The path that kubelet gives emptyDirs: they lie on the pod's own disk.
		"/scratch": filepath.Join(dir, "pods/uid-disks/volumes/kubernetes.io~empty-dir/scratch"),
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m, 0o755); err != nil {
			return err
		}
	}
	c, err := p.Start(ctx, "fio", pod.Container{
		Image: image, Command: []string{"sleep", "100000"}, Mounts: mounts, Devices: map[string]string{"/dev/raw": device}, Memory: 256,
	})
	if err != nil {
		return err
	}
	places := []struct{ name, file string }{
		{rawDisk, "/dev/raw"}, {"rootfs", "/file"}, {"scratch", "/scratch/file"}, {"host path", "/share/file"},
	}
	for _, job := range diskJobs {
		var raw float64
		for _, place := range places {
			fmt.Printf("fio %s: %s\n", job.name, place.name)
			out, err := c.Exec(ctx, "fio", "--name=job", "--filename="+place.file, fmt.Sprintf("--size=%dM", diskMB),
				"--rw="+job.rw, "--bs="+job.bs, fmt.Sprint("--iodepth=", job.depth), "--direct=1", "--ioengine=libaio",
				"--runtime=5", "--time_based", "--output-format=json")
			if err != nil {
				return err
			}
			side, err := parseFio(out, strings.HasSuffix(job.rw, "read"))
			if err != nil {
				return err
			}
			got := job.of(side)
			if place.name == rawDisk {
				raw = got
				continue
			}
			s.Shares = append(s.Shares, Result{Name: fmt.Sprintf("fio %s, %s", job.name, place.name), Unit: job.unit,
				Paddock: got, Peer: raw, PeerName: rawDisk, Ratio: raw / got, Runs: 1})
		}
	}
	return nil
}

// parseFio finds the reads, or the writes, of the one job in fio's JSON, which may follow warnings.
func parseFio(out string, reads bool) (fioSide, error) {
	_, after, _ := strings.Cut(out, "{")
	var report struct {
		Jobs []struct{ Read, Write fioSide }
	}
	if err := json.Unmarshal([]byte("{"+after), &report); err != nil || len(report.Jobs) != 1 {
		return fioSide{}, fmt.Errorf("fio's report: %w: %.300s", err, out)
	}
	side := report.Jobs[0].Write
	if reads {
		side = report.Jobs[0].Read
	}
	if side.IOPS == 0 {
		return side, fmt.Errorf("fio did nothing: %.300s", out)
	}
	return side, nil
}

// loopDevice makes a block device of the host.
func loopDevice(ctx context.Context, file string) (device string, detach func() error, err error) {
	if out, err := exec.CommandContext(ctx, "dd", "if=/dev/zero", "of="+file, "bs=1M", fmt.Sprint("count=", diskMB)).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("make %s: %w: %s", file, err, out)
	}
	out, err := exec.CommandContext(ctx, "losetup", "--find", "--show", file).Output()
	if err != nil {
		return "", nil, fmt.Errorf("losetup %s: %w", file, err)
	}
	device = strings.TrimSpace(string(out))
	return device, func() error { return exec.Command("losetup", "--detach", device).Run() }, nil
}
