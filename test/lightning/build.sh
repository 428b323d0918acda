#!/bin/sh
# Builds lnd, lncli, btcd and btcctl at the versions of go.mod, once: into a cache directory outside the repository
# that is named after go.mod and go.sum. Prints that directory; progress goes to standard error. The first build takes
# minutes and some gigabytes of Go's build cache; afterwards there is nothing to do. `build.sh where` only prints.
set -eu
cd "$(dirname "$0")"

tags="autopilotrpc signrpc walletrpc chainrpc invoicesrpc watchtowerrpc neutrinorpc peersrpc kvdb_sqlite"
tools="github.com/lightningnetwork/lnd/cmd/lnd github.com/lightningnetwork/lnd/cmd/lncli
	github.com/btcsuite/btcd github.com/btcsuite/btcd/cmd/btcctl"

hash() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
name=$(cat go.mod go.sum | hash | cut -c 1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/paygate-lnd"
bin="$cache/$name"
if [ "${1:-}" = where ] || [ -x "$bin/btcctl" ]; then
	echo "$bin"
	exit
fi

# Built beside its place and moved there whole, so that a broken build leaves nothing that looks finished.
mkdir -p "$cache"
new=$(mktemp -d "$cache/$name.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off

[ -t 2 ] && live=1 || live=0
echo "paygate: fetching the sources of lnd and btcd" >&2
go mod download
# shellcheck disable=SC2086
total=$(go list -deps -tags "$tags" $tools | wc -l)
echo "paygate: building lnd and btcd, at most $((total)) packages" >&2
# shellcheck disable=SC2086
{ go build -v -tags "$tags" -ldflags="-s -w" -o "$new/" $tools 2>&1 && touch "$new/.built"; } | awk -v live="$live" '
	/^#/ || /[: ]/ { if (live) printf "\n"; print; next } # what is no package is a problem
	{ n++ }
	live { printf "\rpaygate: %d packages compiled", n; fflush() }
	!live && n % 100 == 0 { printf "paygate: %d packages compiled\n", n; fflush() }
	END { if (live && n) printf "\n" }' >&2
[ -e "$new/.built" ] || { echo "paygate: the build has failed" >&2; exit 1; }
mv "$new" "$bin" 2>/dev/null || [ -x "$bin/btcctl" ] # another build may have been faster
echo "$bin"
