#!/usr/bin/env bash
# Installs the Debian packages that building, running and testing Paddock need.
# Does nothing, quickly, where all are present.
#
#   hack/install-deps.sh            what `make run` and `make test` need
#   hack/install-deps.sh generate   what `make generate` needs as well
#   hack/install-deps.sh bench      what `make bench` needs as well
#   hack/install-deps.sh wine       what `make wine` needs as well
set -euo pipefail

# Each line: a file that shows the package is there, and the package.
wanted="
/usr/bin/qemu-system-x86_64 qemu-system-x86
/usr/lib/cni/bridge containernetworking-plugins
/usr/sbin/ip iproute2
/usr/sbin/tc iproute2
/usr/bin/ping iputils-ping
/usr/sbin/iptables iptables
/usr/sbin/nft nftables
/usr/sbin/mke2fs e2fsprogs
/usr/bin/gcc gcc
/usr/bin/patch patch
/usr/bin/python3 python3
/usr/bin/pkg-config pkg-config
/usr/include/seccomp.h libseccomp-dev
/usr/include/sys/capability.h libcap-dev
/usr/include/yajl libyajl-dev
/usr/include/stdlib.h libc6-dev
/usr/bin/dbus-daemon dbus-daemon
/usr/bin/git git
/usr/bin/make make
/usr/bin/curl curl
/usr/bin/qemu-img qemu-utils
/usr/bin/bzip2 bzip2
/usr/bin/xz xz-utils
/bin/busybox busybox-static
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
/etc/ssl/certs/ca-certificates.crt ca-certificates
"
if [[ ${1:-} == generate ]]; then
	wanted+="/usr/bin/protoc protobuf-compiler"$'\n'
fi

if [[ ${1:-} == bench ]]; then
	wanted+="/usr/bin/iperf3 iperf3"$'\n'
fi

if [[ ${1:-} == wine ]]; then
	wanted+="/usr/bin/patchelf patchelf"$'\n'"/usr/bin/x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64"$'\n'
fi

missing=()
while read -r file package; do
	[[ -z $file || -e $file ]] || missing+=("$package")
done <<<"$wanted"
if ((${#missing[@]} == 0)); then
	exit 0
fi
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if ! command -v apt-get >/dev/null; then
	echo "install-deps: missing: ${missing[*]}. This is no Debian system: install them by your own package manager." >&2
	exit 1
fi
if ((EUID != 0)); then
	echo "install-deps: missing: ${missing[*]}. Run as root, or: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi
echo "install-deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install=(apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install --no-install-recommends "${missing[@]}")
if ! "${install[@]}" </dev/null >/tmp/paddock-apt.$$ 2>&1; then
	# The lists may be absent or old: fetch them and try once more. A failing
	# source that has nothing to do with us must not stop this.
	apt-get -q update </dev/null || true
	"${install[@]}" </dev/null
fi
rm -f /tmp/paddock-apt.$$
