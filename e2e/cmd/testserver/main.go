// Command testserver stands for the web servers of Kubernetes' test images: it
// answers on a port and, as told, writes a pid file, logs a line, and calls
// itself what the original calls its main process.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"syscall"
)

var (
	port    = flag.Int("port", 80, "port to answer on")
	pidFile = flag.String("pid", "", "write the process id to this file")
	message = flag.String("log", "", "print this line at the start")
	title   = flag.String("title", "", "name of the process in /proc/PID/cmdline")
)

func main() {
	flag.Parse()
	if *title != "" && os.Args[0] != *title {
		exe, err := os.Executable()
		if err != nil {
			log.Fatal(err)
		}
		log.Fatal(syscall.Exec(exe, append([]string{*title}, os.Args[1:]...), os.Environ()))
	}
	if *pidFile != "" {
		if err := os.WriteFile(*pidFile, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	if *message != "" {
		fmt.Println(*message)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "It works!") })
	log.Fatal(http.ListenAndServe(fmt.Sprintf(":%d", *port), nil))
}
