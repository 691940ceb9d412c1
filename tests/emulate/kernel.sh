#!/bin/bash
# kernel.sh OUTPUT: makes OUTPUT, the physical memory image (from 16 MiB on) of Debian's cloud kernel, for the emulated
# machine. The package is downloaded, not installed. Exit code: 0 made, 4 it cannot be had here (no network, no lz4 ...).
set -euo pipefail
output=$1
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
refuse() { echo "kernel.sh: $*" >&2; exit 4; }
for tool in apt-get apt-cache dpkg-deb lz4 objcopy readelf; do
  command -v $tool > /dev/null || refuse "$tool is not installed"
done

newest() {
  apt-cache depends linux-image-cloud-amd64 2> /dev/null |
    awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }'
}
package=$(newest)
if [ -z "$package" ]; then
  apt-get -qq update || true
  package=$(newest)
fi
[ -n "$package" ] || refuse "apt knows no package linux-image-cloud-amd64"
# _apt, apt's sandbox user, may not write to $work
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package:amd64") ||
  { apt-get -qq update && (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package:amd64"); } ||
  refuse "apt-get download $package failed"
dpkg-deb --fsys-tarfile "$work"/*.deb | tar x -C "$work" --wildcards --strip-components=2 './boot/vmlinuz-*'

# A bzImage: header at 0x1f1, then setup sectors, then the 64-bit loader with the compressed kernel inside.
image=$(echo "$work"/vmlinuz-*)
number() { od -An -t "u$2" -j "$(($1))" -N "$2" "$image" | tr -d ' '; }
setup_sectors=$(number 0x1f1 1) payload_offset=$(number 0x248 4) payload_bytes=$(number 0x24c 4)
payload() { tail -c "+$(((setup_sectors + 1) * 512 + payload_offset + 1))" "$image" | head -c "$((payload_bytes - 4))"; }
# (its last 4 bytes are the size of the uncompressed kernel; tail dies of SIGPIPE when head has enough)
magic=$( (payload || true) | head -c 4 | od -An -t x1 | tr -d ' ')
case $magic in
02214c18) decompress="lz4 -dc" ;;
fd377a58) decompress="xz -dc" ;;
28b52ffd) decompress="zstd -dc" ;;
1f8b*) decompress="gzip -dc" ;;
*) refuse "$package: unknown compression $magic" ;;
esac
(payload || true) | $decompress > "$work/vmlinux"
readelf -hW "$work/vmlinux" | grep -q 'Entry point address: *0x1000000$' || refuse "$package does not start at 16 MiB"
objcopy -O binary "$work/vmlinux" "$work/flat"
mv "$work/flat" "$output"
echo "kernel.sh: $package" >&2
