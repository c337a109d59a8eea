// Package winspec says what a Windows container's first process is: its command
// line, environment, folder and account, from the container's configuration and
// its image's, as Windows and its container runtimes have it.
package winspec
