package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopCode is the exit code of a server that was asked to end.
const stopCode = 1000

func serve() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	http.HandleFunc("/report", func(w http.ResponseWriter, _ *http.Request) { answer(w, writeReport(w)) })
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		addrs, err := net.LookupHost(r.FormValue("name"))
		fmt.Fprintln(w, addrs, err)
	})
	http.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Get(r.FormValue("url"))
		if err != nil {
			answer(w, err)
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
	})
	http.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(r.FormValue("path"))
		_, _ = w.Write(b)
		answer(w, err)
	})
	http.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		answer(w, os.WriteFile(r.FormValue("path"), []byte(r.FormValue("text")), 0o644))
	})
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("PROBE_ADDRESS"), ":8080"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print("serving\r\n")
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Printf("stopping on %v\r\n", <-stop)
	time.Sleep(100 * time.Millisecond)
	os.Exit(stopCode)
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		fmt.Fprintln(w, "error:", err)
	}
}
