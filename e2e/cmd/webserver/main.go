// Command webserver is what test pods serve: who they are on every address (port 8080,
// or -http's), and a greeting on the pod's localhost only. With -echo it sends datagrams back, with
// -get it prints what a URL answers, instead.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	address := flag.String("http", ":8080", "serve on this address")
	datagrams := flag.String("echo", "", "send datagrams to this address back, and serve nothing else")
	url := flag.String("get", "", "print what this URL answers, and end")
	flag.Parse()
	if *url != "" {
		if err := get(*url); err != nil {
			log.Fatal(err)
		}
		return
	}
	if *datagrams != "" {
		log.Fatal(echo(*datagrams))
	}
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s to %s\n", host, r.RemoteAddr)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	local := http.NewServeMux()
	local.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "only on localhost") })
	inner, outer := listen("127.0.0.1:8081"), listen(*address)
	fmt.Println("serving")
	go func() { log.Fatal(http.Serve(inner, local)) }()
	log.Fatal(http.Serve(outer, mux))
}

func listen(addr string) net.Listener {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	return l
}

func get(url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

func echo(addr string) error {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		_, _ = conn.WriteTo(buf[:n], from)
	}
}
