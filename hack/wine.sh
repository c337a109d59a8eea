#!/usr/bin/env bash
# Makes a Wine that runs Windows builds of Go programs, without touching the
# system: Debian 13's Wine 10, unpacked and relocated, and a prefix for it.
# (Debian 12's Wine 8 cannot start a program of today's Go.) Does nothing,
# quickly, where it has been made.
#
#   hack/wine.sh DIR
#
# leaves DIR/wine, which runs a Windows program, DIR/root and DIR/prefix.
set -euo pipefail

dir=$(realpath -m "$1")
hack=$(dirname "$(realpath "$0")")
stamp=$dir/stamp
want=$(sha256sum "$0" | cut -c1-64)
if [[ -e $stamp && $(<"$stamp") == "$want $dir" ]]; then
	exit 0
fi
"$hack/install-deps.sh" wine

rm -rf "$dir/root" "$dir/prefix" "$stamp"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/root"
root=$dir/root

# Apt on lists, a cache and a (void) system of its own.
: >"$dir/apt/status"
cat >"$dir/apt/sources.list" <<-END
	deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main
END
apt=(apt-get -q -y -o "Dir::State::status=$dir/apt/status" -o "Dir::State::lists=$dir/apt/lists"
	-o "Dir::Etc::sourcelist=$dir/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
	-o "Dir::Cache=$dir/apt" -o "Dir::Cache::archives=$dir/apt/archives" -o APT::Architecture=amd64 -o APT::Architectures=amd64
	-o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o Acquire::Languages=none)
echo "wine: fetching Debian 13's Wine (190 MB)"
{ "${apt[@]}" update && "${apt[@]}" install -d --no-install-recommends wine64; } </dev/null >"$dir/apt/log" 2>&1 ||
	{ tail -n 20 "$dir/apt/log" >&2; exit 1; }

echo "wine: unpacking"
for deb in "$dir"/apt/archives/*.deb; do
	dpkg -x "$deb" "$root"
done

# The programs find their loader and libraries below root: by their own headers,
# for LD_LIBRARY_PATH would reach the programs that they start, too.
lib=$root/usr/lib/x86_64-linux-gnu
for program in "$root"/usr/lib/wine/wine64 "$root"/usr/lib/wine/wineserver64 "$root"/usr/lib/wine/wine64-preloader \
	"$lib"/wine/x86_64-unix/wine "$lib"/wine/x86_64-unix/wine-preloader; do
	[[ -e $program && ! -L $program ]] || continue
	[[ $program == *preloader ]] && continue # static
	patchelf --set-interpreter "$lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$lib:$lib/wine/x86_64-unix:$lib/pulseaudio" "$program"
done
ln -sf wineserver64 "$root/usr/lib/wine/wineserver"
# Relative to its program, Debian's server looks for NLS files in share/wine/wine.
ln -sfn . "$root/usr/share/wine/wine"

# What libwine's postinst does: mingw's zlib1.dll as a part of Wine.
zlib=$root/usr/x86_64-w64-mingw32/lib/zlib1.dll
pe=$lib/wine/x86_64-windows
if [[ -e $zlib && ! -e $pe/zlib1.dll ]]; then
	{ head -c 64 "$zlib"; printf 'Wine builtin DLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'; tail -c +97 "$zlib"; } >"$pe/zlib1.dll"
fi

cat >"$dir/wine" <<-END
	#!/bin/sh
	# Runs a Windows program: $dir/wine PROGRAM.exe ARGS...
	export WINEPREFIX="\${WINEPREFIX:-$dir/prefix}" WINEDEBUG="\${WINEDEBUG:--all}" WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe=d"
	export WINESERVER="$root/usr/lib/wine/wineserver64" WINELOADER="$root/usr/lib/wine/wine64"
	unset DISPLAY WAYLAND_DISPLAY
	exec "$root/usr/lib/wine/wine64" "\$@"
END
chmod +x "$dir/wine"

echo "wine: making a prefix"
"$dir/wine" wineboot.exe --init </dev/null >"$dir/apt/wineboot.log" 2>&1 || { tail -n 20 "$dir/apt/wineboot.log" >&2; exit 1; }
WINEPREFIX=$dir/prefix "$root/usr/lib/wine/wineserver64" -w
rm -rf "$dir/apt/archives" "$dir/apt/lists"
echo "$want $dir" >"$stamp"
