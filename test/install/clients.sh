#!/usr/bin/env bash
# Installs the BitTorrent clients that the demo and the end-to-end tests use, and the tools for network namespaces and
# firewalls, with apt, as root or with a sudo that asks for no password. Where that cannot be done it says what is missing and succeeds all the same: what needs the
# client is then skipped, or done with an anacrolix/torrent client.
#
#   clients.sh [PACKAGE...]      default: qbittorrent-nox transmission-daemon aria2 nftables iproute2 opentracker
set -u

declare -A program=([qbittorrent-nox]=qbittorrent-nox [transmission-daemon]=transmission-daemon [aria2]=aria2c
	[nftables]=nft [iproute2]=ip
	[libnginx-mod-stream]=/usr/lib/nginx/modules/ngx_stream_module.so)

missing() {
	local package
	for package in "$@"; do
		local name=${program[$package]:-$package}
		[ -e "$name" ] || command -v "$name" >/dev/null || echo "$package"
	done
}

install_packages() {
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${wanted[@]}"
}

# stop_services ends what the packages have started on their own: here clients are started only by the tests.
stop_services() {
	case " ${wanted[*]} " in
	*" transmission-daemon "*)
		if command -v systemctl >/dev/null; then
			"${root[@]}" systemctl disable --now transmission-daemon >/dev/null 2>&1
		fi
		;;
	esac
	case " ${wanted[*]} " in
	*" opentracker "*)
		if command -v systemctl >/dev/null; then
			"${root[@]}" systemctl disable --now opentracker >/dev/null 2>&1
		fi
		;;
	esac
}

[ $# -gt 0 ] || set -- qbittorrent-nox transmission-daemon aria2 nftables iproute2 opentracker
mapfile -t wanted < <(missing "$@")
[ ${#wanted[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
	root=(sudo -n)
fi
if ! command -v apt-get >/dev/null; then
	reason="there is no apt-get"
elif [ ${#root[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; then
	reason="it takes root, or sudo without a password"
else
	echo "installing ${wanted[*]} with apt" >&2
	if ! install_packages >/dev/null 2>&1; then
		"${root[@]}" apt-get update -qq >/dev/null 2>&1
		install_packages >&2
	fi
	stop_services
	reason="apt-get could not install it"
fi
mapfile -t wanted < <(missing "${wanted[@]}")
for package in "${wanted[@]}"; do
	echo "not installed: $package ($reason)" >&2
done
exit 0
