// Package hostcgroup finds a pod's cgroups on a Linux node: those that kubelet
// makes and limits, and in which the pod's VM runs.
package hostcgroup
