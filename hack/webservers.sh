#!/usr/bin/env bash
# Takes Debian's nginx and Apache apart into OUTPUT/nginx and OUTPUT/httpd, each
# with the libraries that it loads: what images of the CRI validation suite run.
# Nothing is installed.
#
#   hack/webservers.sh OUTPUT
set -euo pipefail

output=$(realpath -m "${1:?usage: hack/webservers.sh OUTPUT}")
[[ -e $output/done ]] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
packages=(nginx apache2-bin libapr1 libaprutil1 libpcre2-8-0 libssl3 zlib1g libcrypt1 libuuid1 libexpat1 libgcc-s1 libc6)
download=(apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download "${packages[@]}")
if ! "${download[@]}" >log 2>&1; then
	# The lists may be absent or old.
	apt-get -q update </dev/null >>log 2>&1 || true
	"${download[@]}" >>log 2>&1 || { tail -5 log >&2; exit 1; }
fi
for deb in *.deb; do dpkg-deb -x "$deb" root; done
libs=root/lib/x86_64-linux-gnu:root/usr/lib/x86_64-linux-gnu

# copy NAME FILE...: files of the packages, and the libraries they load.
copy() {
	local name=$1 file lib
	shift
	for file in "$@"; do
		install -D "root/$file" "$output/$name/$file"
		LD_LIBRARY_PATH=$libs ldd "root/$file" | grep -oE '(=> )?[^ ]+/[^ ]+ \(' | sed 's/^=> //; s/ ($//' |
			while read -r lib; do
				install -D "$lib" "$output/$name/usr/lib/x86_64-linux-gnu/$(basename "$lib")"
			done
	done
	install -D "$output/$name/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$output/$name/lib64/ld-linux-x86-64.so.2"
}
rm -rf "$output"
copy nginx usr/sbin/nginx
modules=usr/lib/apache2/modules
copy httpd usr/sbin/apache2 $modules/mod_mpm_event.so $modules/mod_authz_core.so $modules/mod_dir.so
# Loaded when its first thread ends.
install -D root/lib/x86_64-linux-gnu/libgcc_s.so.1 "$output/httpd/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"
mv "$output/httpd/usr/sbin/apache2" "$output/httpd/usr/sbin/httpd"
touch "$output/done"
