package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

// record is one line of the file for records.
type record struct {
	Event            string
	Pod              *api.PodSandbox     `json:",omitempty"`
	Container        *api.Container      `json:",omitempty"`
	Pods             []*api.PodSandbox   `json:",omitempty"`
	Containers       []*api.Container    `json:",omitempty"`
	Resources        *api.LinuxResources `json:",omitempty"`
	Runtime, Version string              `json:",omitempty"`
}

type plugin struct {
	stub stub.Stub

	mu   sync.Mutex
	file *os.File
}

func (p *plugin) open(path string) error {
	f, err := os.OpenFile(strings.TrimSpace(path), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file = f
	return nil
}

func (p *plugin) record(r record) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.file.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

// failing is an error if the annotations ask for one in this step.
func failing(step string, annotations map[string]string) error {
	if annotations["nri.test/fail"] == step {
		return fmt.Errorf("%s fails because it was asked to", step)
	}
	return nil
}

func (p *plugin) Synchronize(_ context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	p.record(record{Event: "Synchronize", Pods: pods, Containers: containers})
	return nil, nil
}

func (p *plugin) RunPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	p.record(record{Event: "RunPodSandbox", Pod: pod})
	return failing("RunPodSandbox", pod.Annotations)
}

func (p *plugin) StopPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	p.record(record{Event: "StopPodSandbox", Pod: pod})
	return nil
}

func (p *plugin) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	p.record(record{Event: "RemovePodSandbox", Pod: pod})
	return nil
}

func (p *plugin) PostCreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	p.record(record{Event: "PostCreateContainer", Pod: pod, Container: c})
	return nil
}

func (p *plugin) StartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	p.record(record{Event: "StartContainer", Pod: pod, Container: c})
	return failing("StartContainer", c.Annotations)
}

func (p *plugin) PostUpdateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	p.record(record{Event: "PostUpdateContainer", Pod: pod, Container: c})
	return nil
}

func (p *plugin) StopContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) ([]*api.ContainerUpdate, error) {
	p.record(record{Event: "StopContainer", Pod: pod, Container: c})
	return nil, nil
}

func (p *plugin) RemoveContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	p.record(record{Event: "RemoveContainer", Pod: pod, Container: c})
	return nil
}
