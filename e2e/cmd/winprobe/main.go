// Command winprobe is what Windows test pods run: it tells what a process sees
// of its container, and serves that too.
//
//	winprobe report [args]  print a report as JSON
//	winprobe serve          serve reports until a console event ends it
//	winprobe echo           copy stdin to stdout
//	winprobe lines          print lines that end as Windows' do, and end as if by a fault
//	winprobe sleep [child]  sleep for a long time, or have a child do so
//	winprobe stubborn       end for no console event
//	winprobe eat            take memory until there is none
//	winprobe burn           keep a processor busy
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// accessViolation is an exit code that Unix cannot have.
const accessViolation = 0xC0000005

func main() {
	if len(os.Args) < 2 {
		log.Fatal("winprobe: say what to do")
	}
	switch args := os.Args[2:]; os.Args[1] {
	case "report":
		if err := writeReport(os.Stdout); err != nil {
			log.Fatal(err)
		}
	case "serve":
		serve()
	case "echo":
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			log.Fatal(err)
		}
	case "lines":
		fmt.Print("first\r\nsecond\r\n")
		fmt.Fprint(os.Stderr, "third\r\n")
		os.Exit(accessViolation)
	case "sleep":
		sleep(len(args) > 0)
	case "stubborn":
		signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
		sleep(false)
	case "eat":
		var held [][]byte
		for {
			held = append(held, bytes.Repeat([]byte{1}, 8<<20))
		}
	case "burn":
		fmt.Println("burning")
		for {
		}
	default:
		log.Fatalf("winprobe: cannot %s", os.Args[1])
	}
}

func sleep(child bool) {
	if child {
		cmd := exec.Command(os.Args[0], "sleep")
		if err := cmd.Start(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("sleeping")
	time.Sleep(time.Hour)
}
