package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/config"
)

// serviceName names the Windows service and its source in the event log.
const serviceName = "paddock"

// Ids of our events; they are part of the interface, for who watches the log.
const (
	eventStarted = 1
	eventStopped = 2
	eventFailed  = 3
)

// needed are the services without which there are no VMs and no network.
var needed = []string{"vmcompute", "hns"}

// restarts follow each other when the daemon fails; they begin anew after a day without.
var restarts = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: time.Second},
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
}

const restartsForgotten = 24 * time.Hour

func newService(configPath *string) *cobra.Command {
	service := &cobra.Command{Use: "service", Short: "Install or remove the Windows service"}
	service.AddCommand(
		&cobra.Command{
			Use: "install", Short: "Install the service, which starts with Windows and after a failure; --config is kept", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return installService(*configPath) },
		},
		&cobra.Command{
			Use: "uninstall", Short: "Stop and remove the service; pods go on running", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return uninstallService(cmd.Context()) },
		})
	return service
}

func installService(configPath string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"serve"}
	if configPath != "" {
		if configPath, err = filepath.Abs(configPath); err != nil {
			return err
		}
		if _, err := config.Load(configPath); err != nil {
			return err
		}
		args = append(args, "--config", configPath)
	}
	m, err := connectManager()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.CreateService(serviceName, exe, mgr.Config{
		DisplayName: "Paddock", Description: "Runs every Kubernetes pod in a virtual machine of its own (CRI)",
		StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal, Dependencies: needed,
	}, args...)
	if err != nil {
		return fmt.Errorf("create service %s: %w", serviceName, err)
	}
	defer s.Close()
	if err := completeService(s); err != nil {
		return errors.Join(err, s.Delete())
	}
	return nil
}

// completeService sets what happens after a failure, and registers the event source.
func completeService(s *mgr.Service) error {
	if err := s.SetRecoveryActions(restarts, uint32(restartsForgotten/time.Second)); err != nil {
		return fmt.Errorf("service %s: set recovery actions: %w", serviceName, err)
	}
	// An end with an error is a failure, too, not only the process's sudden one.
	if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return fmt.Errorf("service %s: set recovery actions: %w", serviceName, err)
	}
	_ = eventlog.Remove(serviceName) // of an earlier installation
	if err := eventlog.InstallAsEventCreate(serviceName, eventlog.Error|eventlog.Warning|eventlog.Info); err != nil {
		return fmt.Errorf("event log source %s: %w", serviceName, err)
	}
	return nil
}

func connectManager() (*mgr.Mgr, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, fmt.Errorf("service manager: %w (run this as an administrator)", err)
	}
	return m, nil
}

// stopTime bounds the service's stop.
const stopTime = 30 * time.Second

func uninstallService(ctx context.Context) error {
	m, err := connectManager()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.OpenService(serviceName)
	if err != nil {
		return fmt.Errorf("service %s: %w", serviceName, err)
	}
	defer s.Close()
	if _, err := s.Control(svc.Stop); err == nil {
		if err := awaitStopped(ctx, s); err != nil {
			return err
		}
	} else if !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop service %s: %w", serviceName, err)
	}
	if err := s.Delete(); err != nil {
		return fmt.Errorf("remove service %s: %w", serviceName, err)
	}
	return eventlog.Remove(serviceName)
}

func awaitStopped(ctx context.Context, s *mgr.Service) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	for {
		status, err := s.Query()
		if err != nil {
			return fmt.Errorf("service %s: %w", serviceName, err)
		}
		if status.State == svc.Stopped {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("service %s does not stop: %w", serviceName, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// runAsService runs the daemon: under the service manager if that started this
// process, with the log in a file and starts, stops and failures in the event log.
func runAsService(cfg *config.Config, run func(context.Context) error) error {
	isService, err := svc.IsWindowsService()
	if err != nil {
		return fmt.Errorf("tell whether this is a service: %w", err)
	}
	if !isService {
		return run(context.Background())
	}
	if err := logToFile(filepath.Join(cfg.Root, "log")); err != nil {
		return err
	}
	events, err := eventlog.Open(serviceName)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	defer events.Close()
	h := &service{run: run, events: events}
	if err := svc.Run(serviceName, h); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return h.err
}

// maxLogMegabytes is where the log begins anew.
const maxLogMegabytes = "64"

func logToFile(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("log folder: %w", err)
	}
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	for name, value := range map[string]string{
		"logtostderr": "false", "log_file": filepath.Join(dir, "paddock.log"), "log_file_max_size": maxLogMegabytes,
	} {
		if err := fs.Set(name, value); err != nil {
			return fmt.Errorf("log to a file: %w", err)
		}
	}
	return nil
}

// events is the part of the event log that the service writes to.
type events interface {
	Info(id uint32, msg string) error
	Error(id uint32, msg string) error
}

// service is the daemon as the service manager sees it:
//
//	StartPending ──▶ Running ──(Stop, Shutdown)──▶ StopPending ──▶ Stopped
//	                    └────────(the daemon fails)───────────────▶ Stopped, with an exit code: recovery
type service struct {
	run    func(context.Context) error
	events events
	err    error
}

// Execute implements svc.Handler.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	status <- svc.Status{State: svc.StartPending}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	// Running from now on: recovering many pods may take longer than the manager waits.
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	_ = s.events.Info(eventStarted, "Paddock "+version+" has started")
	for {
		select {
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopTime / time.Millisecond)}
				cancel()
			}
		case s.err = <-done:
			klog.Flush()
			if s.err != nil && ctx.Err() == nil {
				_ = s.events.Error(eventFailed, "Paddock has failed: "+s.err.Error())
				return true, 1
			}
			_ = s.events.Info(eventStopped, "Paddock has stopped; pods go on running")
			return false, 0
		}
	}
}
