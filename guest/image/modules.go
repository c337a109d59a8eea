package image

// bootModules are loaded at boot on every hypervisor but Hyper-V, with what they
// depend on. Each costs boot time: a module not needed before the agent answers, or
// for attaching a disk, a NIC or a share, belongs into availableModules.
var bootModules = []string{
	"virtio_pci", "virtio_console", "virtio_rng", "virtio_scsi", "sd_mod",
	"virtio_net", "vmw_vsock_virtio_transport", "virtio_balloon", "virtio_mem",
	"crc32c_intel", "overlay", "fuse",
}

// hypervModules are loaded at boot under Hyper-V, instead of bootModules: the
// vsock transport of virtio registers itself even without its device, and would keep
// hv_sock from being the one to the host (vsock_core_register answers EBUSY).
var hypervModules = []string{
	"hv_vmbus", "hv_storvsc", "sd_mod", "hv_netvsc", "hv_sock", "hv_utils", "hv_balloon", "pci_hyperv",
	"crc32c_intel", "overlay", "fuse",
}

// availableModules are in the image and loaded when the kernel asks for them.
var availableModules = []string{
	// Devices.
	"virtio_blk", "virtio_pmem", "nd_pmem", "loop",
	// File systems.
	"erofs", "binfmt_misc",
	// Network devices and diagnosis: what pods make for themselves.
	"tun", "veth", "bridge", "br_netfilter", "macvlan", "ipvlan", "dummy", "8021q", "vxlan", "wireguard",
	"inet_diag", "tcp_diag", "udp_diag", "unix_diag", "netlink_diag", "af_packet_diag",
	"tcp_bbr", "sch_fq", "sch_fq_codel", "sch_tbf", "sch_htb", "sch_netem", "sch_ingress",
	// iptables and nftables.
	"nf_tables", "nft_compat", "nft_chain_nat", "nft_nat", "nft_masq", "nft_redir", "nft_ct", "nft_limit",
	"nft_log", "nft_reject", "nft_reject_inet", "nft_reject_ipv4", "nft_reject_ipv6", "nft_fib", "nft_fib_inet",
	"nft_fib_ipv4", "nft_fib_ipv6", "nft_hash", "nft_numgen", "nft_objref", "nft_quota", "nft_connlimit",
	"nft_socket", "nft_tproxy", "nfnetlink", "nf_conntrack", "nf_conntrack_netlink", "nf_nat", "nf_log_syslog",
	"ip_tables", "iptable_filter", "iptable_nat", "iptable_mangle", "iptable_raw",
	"ip6_tables", "ip6table_filter", "ip6table_nat", "ip6table_mangle", "ip6table_raw",
	"ipt_REJECT", "ip6t_REJECT",
	"ip_set", "ip_set_hash_ip", "ip_set_hash_net", "ip_set_hash_ipport", "xt_set",
	"xt_addrtype", "xt_CHECKSUM", "xt_CLASSIFY", "xt_comment", "xt_connlimit", "xt_connmark", "xt_conntrack",
	"xt_CT", "xt_dscp", "xt_DSCP", "xt_hashlimit", "xt_iprange", "xt_length", "xt_limit", "xt_LOG", "xt_mac",
	"xt_mark", "xt_MASQUERADE", "xt_multiport", "xt_nat", "xt_NETMAP", "xt_NFLOG", "xt_owner", "xt_physdev",
	"xt_pkttype", "xt_quota", "xt_recent", "xt_REDIRECT", "xt_sctp", "xt_socket", "xt_state", "xt_statistic",
	"xt_string", "xt_TCPMSS", "xt_tcpmss", "xt_tcpudp", "xt_time", "xt_TPROXY", "xt_TRACE", "xt_u32", "xt_bpf",
}
