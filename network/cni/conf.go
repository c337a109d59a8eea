package cni

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/paddock-run/paddock/network"
)

// LoadConf returns the first valid configuration of the folder by name, as
// containerd and CRI-O choose it.
func LoadConf(dir string) (*libcni.NetworkConfigList, error) {
	files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
	if err != nil {
		return nil, fmt.Errorf("%w: read CNI configurations in %s: %w", network.ErrNotReady, dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: no CNI configuration (*.conflist) in %s; install a pod network, or print a simple one with `paddock cni-config`", network.ErrNotReady, dir)
	}
	sort.Strings(files)
	var errs []error
	for _, file := range files {
		list, err := loadFile(file)
		if err == nil {
			return list, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", file, err))
	}
	return nil, fmt.Errorf("%w: no valid CNI configuration in %s: %w", network.ErrNotReady, dir, errors.Join(errs...))
}

func loadFile(file string) (*libcni.NetworkConfigList, error) {
	var list *libcni.NetworkConfigList
	var err error
	if strings.HasSuffix(file, ".conflist") {
		list, err = libcni.ConfListFromFile(file)
	} else {
		var conf *libcni.NetworkConfig
		if conf, err = libcni.ConfFromFile(file); err == nil {
			list, err = libcni.ConfListFromConf(conf)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(list.Plugins) == 0 {
		return nil, errors.New("names no plugin")
	}
	return list, nil
}

// PluginsOf names every plugin that a configuration runs, those for addresses included.
func PluginsOf(list *libcni.NetworkConfigList) []string {
	var names []string
	for _, p := range list.Plugins {
		names = append(names, p.Network.Type)
		if p.Network.IPAM.Type != "" {
			names = append(names, p.Network.IPAM.Type)
		}
	}
	return names
}
