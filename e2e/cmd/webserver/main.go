// Command webserver is what test pods serve: who they are on every address, and
// a greeting on the pod's localhost only.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
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
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:8081", local)) }()
	fmt.Println("serving")
	log.Fatal(http.ListenAndServe(":8080", mux))
}
