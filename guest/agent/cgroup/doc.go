// Package cgroup reads and ends cgroup v2 groups: statistics, OOM counts,
// killing every process of a group, removal.
package cgroup
