// Package cni is what the networks of all hosts do with CNI alike: choosing a
// configuration and telling plugins about a sandbox.
package cni
