#!/usr/bin/env bash
# Builds Debian's busybox source with every default applet, statically: its
# packaged binary lacks pgrep and ipcs, and runs applets inside its shell.
#
#   hack/busybox.sh OUTPUT
set -euo pipefail

version=1.35.0
sha256=faeeb244c35a348a334f4a59e44626ee870fb07b6884d68c10ae8bc19f83a694
file=busybox_$version.orig.tar.bz2
url=${DEBIAN_MIRROR:-http://deb.debian.org/debian}/pool/main/b/busybox/$file
output=$(realpath -m "${1:?usage: hack/busybox.sh OUTPUT}")

[[ -x $output ]] && exit 0
cd "$(dirname "$0")/.."
mkdir -p .cache "$(dirname "$output")"
if ! echo "$sha256  .cache/$file" | sha256sum --check --status 2>/dev/null; then
	curl -sSfL --retry 3 -o ".cache/$file.part" "$url"
	echo "$sha256  .cache/$file.part" | sha256sum --check --quiet
	mv ".cache/$file.part" ".cache/$file"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xjf ".cache/$file" -C "$work" --strip-components=1
make -C "$work" defconfig >"$work.log" 2>&1
# tc does not build against current kernel headers.
sed -i 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/; s/^CONFIG_TC=y/# CONFIG_TC is not set/' "$work/.config"
if ! make -C "$work" -j"$(nproc)" busybox >>"$work.log" 2>&1; then
	echo "busybox.sh: the build failed:" >&2
	tail -20 "$work.log" >&2
	exit 1
fi
install -m 755 "$work/busybox" "$output"
rm -f "$work.log"
