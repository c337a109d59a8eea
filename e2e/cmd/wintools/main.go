//go:build windows

// Command wintools is for Windows what busybox is for Linux, as far as the CRI
// validation suite needs it: each name it is called by is a Unix command.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"))
	command := map[string]func(args []string) error{
		"sh": shell, "echo": echo, "sleep": sleep, "top": top, "ls": list, "pgrep": processes,
	}[name]
	if command == nil {
		fmt.Fprintf(os.Stderr, "wintools has no command %q\n", name)
		os.Exit(127)
	}
	if err := command(os.Args[1:]); err != nil {
		code := 1
		if exit, ok := err.(exitCode); ok {
			code = int(exit)
		} else {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
		os.Exit(code)
	}
}

// exitCode is one that says all.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func echo(args []string) error {
	end := "\n"
	if len(args) > 0 && args[0] == "-n" {
		args, end = args[1:], ""
	}
	_, err := fmt.Print(strings.Join(args, " ") + end)
	return err
}

func sleep(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one number of seconds")
	}
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	return nil
}

// top prints how many processes there are, every five seconds.
func top([]string) error {
	for {
		all, err := running()
		if err != nil {
			return err
		}
		fmt.Printf("%d processes\n", len(all))
		time.Sleep(5 * time.Second)
	}
}

// list prints what is in a folder.
func list(args []string) error {
	dir := "."
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			dir = arg
		}
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	return err
}
