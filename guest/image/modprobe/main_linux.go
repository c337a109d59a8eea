package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	aliasList = "/etc/paddock/modules.alias"
	depList   = "/etc/paddock/modules.dep"
)

func main() {
	for _, arg := range os.Args[1:] {
		if arg == "--" || strings.HasPrefix(arg, "-") {
			continue
		}
		if err := probe(arg); err != nil {
			fmt.Fprintf(os.Stderr, "modprobe: %s: %v\n", arg, err)
			os.Exit(1)
		}
		return // what follows the name are the module's parameters, which the kernel never gives
	}
}

// probe loads every module that answers to a name.
func probe(request string) error {
	f, err := os.Open(aliasList)
	if err != nil {
		return err
	}
	defer f.Close()
	files, err := matches(f, request)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("not in this image")
	}
	for _, file := range files {
		if err := load(file); err != nil {
			return err
		}
	}
	return nil
}

func load(file string) error {
	f, err := os.Open(depList)
	if err != nil {
		return err
	}
	defer f.Close()
	order, err := loadOrder(f, file)
	if err != nil {
		return err
	}
	for _, name := range order {
		if err := insert(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// insert loads one module; one that is there already is no error.
func insert(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}
