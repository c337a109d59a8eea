#!/usr/bin/env bash
# Builds Debian's crun source as one static program at a fixed address, without
# systemd: in the guest each of its runs is paid for, and half of what Debian's
# own program does under emulation is to find and relocate eleven libraries.
#
#   hack/crun.sh OUTPUT
set -euo pipefail

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
output=$(realpath -m "${1:?usage: hack/crun.sh OUTPUT}")

cd "$(dirname "$0")/.."
mkdir -p .cache/crun/{lists/partial,source} "$(dirname "$output")"
cache=$PWD/.cache/crun
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# apt verifies the archive's signature, and by it the source's digests.
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$cache/sources.list"
apt=(apt-get -q -o Dir::Etc::sourcelist="$cache/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o Dir::State::lists="$cache/lists" -o APT::Sandbox::User=root -o Acquire::Retries=3)
if ! ls "$cache"/source/crun_*.dsc >/dev/null 2>&1; then
	"${apt[@]}" update >"$work/log"
	(cd "$cache/source" && "${apt[@]}" source --download-only crun >>"$work/log")
fi
mkdir "$work/crun" "$work/libs"
tar -xf "$cache"/source/crun_*.orig.tar.xz -C "$work/crun" --strip-components=1
tar -xf "$cache"/source/crun_*.debian.tar.xz -C "$work/crun"
# Debian names the static library otherwise than the shared one.
ln -s "$(gcc -print-file-name=libyajl_s.a)" "$work/libs/libyajl.a"
if ! (
	cd "$work/crun"
	while read -r patch; do
		patch -sp1 <"debian/patches/$patch"
	done < <(grep -v '^#' debian/patches/series)
	./configure --disable-systemd --disable-shared --enable-static CFLAGS="-O2 -fno-pie" LDFLAGS="-L$work/libs -static -no-pie"
	make -j"$(nproc)" LDFLAGS="-L$work/libs -all-static -no-pie"
) >"$work/log" 2>&1; then
	echo "crun.sh: the build failed:" >&2
	tail -20 "$work/log" >&2
	exit 1
fi
strip -o "$work/crun.stripped" "$work/crun/crun"
install -m 755 "$work/crun.stripped" "$output"
