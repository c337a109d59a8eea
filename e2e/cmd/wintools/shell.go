//go:build windows

package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// shell runs `sh -c SCRIPT`, or what is typed, line by line.
func shell(args []string) error {
	runner, err := interp.New(interp.StdIO(os.Stdin, os.Stdout, os.Stderr))
	if err != nil {
		return err
	}
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
	if len(args) == 2 && args[0] == "-c" {
		script, err := parser.Parse(strings.NewReader(args[1]), "")
		if err != nil {
			return err
		}
		return ended(runner.Run(context.Background(), script))
	}
	if len(args) > 0 {
		return errors.New("want -c and a script, or nothing")
	}
	for statements, err := range parser.InteractiveSeq(os.Stdin) {
		if err != nil {
			return err
		}
		for _, s := range statements {
			err := runner.Run(context.Background(), s)
			if runner.Exited() {
				return ended(err)
			}
		}
	}
	return nil
}

// ended turns a script's exit status into one of this program.
func ended(err error) error {
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return exitCode(status)
	}
	return err
}
