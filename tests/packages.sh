#!/usr/bin/env bash
# The programs that tests run for real beside the product, from Debian's packages: a Prometheus, an Alertmanager, a PostgreSQL, an
# nginx and a browser. Installs what is missing where it may; elsewhere it says what is missing and how to get it, and the tests that
# need it skip with the same words (under CI=true this fails instead: there nothing may be skipped).
set -euo pipefail

missing=()
needs() { # a package, and a file it brings
    compgen -G "$2" >/dev/null || missing+=("$1")
}
needs prometheus /usr/bin/promtool
needs prometheus-alertmanager /usr/bin/prometheus-alertmanager
needs postgresql '/usr/lib/postgresql/*/bin/initdb'
needs chromium /usr/bin/chromium
needs nginx-light /usr/sbin/nginx
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing Debian packages the tests run: ${missing[*]}"
    log=$(mktemp)
    # RUNLEVEL keeps the packages from starting daemons of their own: the tests start what they need on free ports.
    if { apt-get update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install; } >"$log" 2>&1; then
        exit 0
    fi
    tail -n 20 "$log" >&2
fi
echo "missing for some tests: ${missing[*]}" >&2
echo "hint: sudo apt-get update && sudo $install" >&2
[ "${CI:-}" != true ]
