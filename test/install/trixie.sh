#!/usr/bin/env bash
# Makes a Debian 13 (trixie) system in a directory outside the repository, with the newer BitTorrent clients in it:
# qBittorrent 5.1, Transmission 4.1, Deluge 2.2 and rtorrent. The tests run them with chroot. Done once; afterwards there
# is nothing to do. It takes root, debootstrap, and about 500 MB. Mirror and further settings are those of this
# machine's own apt. Prints the directory; progress goes to standard error. Where it cannot be done it says why, and
# ends with status 3.
#
#   trixie.sh          makes it, if it is not there
#   trixie.sh where    prints where it is, or would be, and does nothing
#   trixie.sh remove   removes it
set -euo pipefail

packages=(qbittorrent-nox transmission-daemon deluged rtorrent)
programs=(qbittorrent-nox transmission-daemon deluged rtorrent)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/paygate-trixie"
root="$cache/root"

say() { echo "paygate: $*" >&2; }
cannot() { say "no Debian 13 for the newer clients: $*"; exit 3; }
complete() { [ -e "$root/.paygate-complete" ]; }

case "${1:-}" in
where) echo "$root"; exit ;;
remove)
	grep -q " $cache/" /proc/self/mounts && cannot "something is mounted below $cache"
	rm -rf --one-file-system "$cache"
	exit
	;;
esac
if complete; then echo "$root"; exit; fi

[ "$(uname -s)" = Linux ] || cannot "it takes Linux"
[ "$(id -u)" -eq 0 ] || cannot "it takes root (for chroot)"
command -v apt-get >/dev/null || cannot "there is no apt-get whose mirror could be used"
if ! command -v debootstrap >/dev/null; then
	say "installing debootstrap with apt"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null 2>&1 ||
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap; } >/dev/null 2>&1 ||
		cannot "debootstrap is not installed, and apt could not install it"
fi

# Another run may be at work.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if complete; then echo "$root"; exit; fi

mirror=$(apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
	awk '$1 == "Debian" && $2 == "main" { print $3; exit }')
[ -n "$mirror" ] || cannot "apt's sources name no mirror of Debian (or need \`apt-get update\`)"

new="$cache/new"
finish() {
	mountpoint -q "$new/proc" && umount "$new/proc"
	rm -rf --one-file-system "$new"
}
rm -rf --one-file-system "$new"
trap finish EXIT
trap 'exit 130' INT TERM

# progress shows every n-th line of what it reads, and keeps the end of all for a failure.
progress() { tee "$cache/log" | awk -v n="$1" 'NR % n == 0 { print "paygate:   " substr($0, 1, 100); fflush() }' >&2; }
broken() { tail -n 20 "$cache/log" >&2; cannot "$*"; }

say "making Debian 13 in $root: the base system"
debootstrap --variant=minbase trixie "$new" "$mirror" 2>&1 | progress 40 || broken "debootstrap has failed"

mount -t proc proc "$new/proc"
cp /etc/resolv.conf "$new/etc/resolv.conf"
apt-config dump | grep -E '^(Acquire|APT::Authentication)::' >"$new/etc/apt/apt.conf.d/50host" || true
echo 'Dpkg::Use-Pty "false";' >>"$new/etc/apt/apt.conf.d/50host"
printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" # nothing is to be started on installation
chmod 755 "$new/usr/sbin/policy-rc.d"

say "making Debian 13: ${packages[*]}"
chroot "$new" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get install -y --no-install-recommends "${packages[@]}" 2>&1 |
	progress 60 || broken "apt could not install ${packages[*]}"
for program in "${programs[@]}"; do
	chroot "$new" sh -c "command -v $program" >/dev/null || broken "$program is missing after its installation"
done
rm -f "$new"/var/cache/apt/archives/*.deb
umount "$new/proc"
touch "$new/.paygate-complete"
rm -rf --one-file-system "$root"
mv "$new" "$root"
trap - EXIT
say "Debian 13 is ready: $(du -sh "$root" | cut -f 1)"
echo "$root"
