// Command modprobe loads the kernel modules that a guest's kernel asks for
// while it runs, e.g. when a pod sets up iptables. The kernel calls it as
// /sbin/modprobe; it knows the modules of the guest image and no others, by
// the lists the image's build writes into /etc/paddock.
package main
