#!/bin/sh
# systemd accepts the units as they are installed, and finds the daemon where they say it is.
set -eu
meson=$1 build=$2

if ! command -v systemd-analyze >/dev/null; then
  echo "no systemd-analyze here: the units are not checked"
  exit 77
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

DESTDIR="$root" "$meson" install -C "$build" --no-rebuild --quiet
units=$(dirname "$(find "$root" -name 'coffer@.service')")
test -f "$units/coffer@.socket" || { echo "the units are not installed"; exit 1; }

# What every unit stands on comes from the machine.
for folder in /usr/lib/systemd/system /lib/systemd/system; do
  cp -n "$folder"/*.target "$folder"/*.slice "$folder"/*.mount "$units/" 2>/dev/null || true
done
systemd-analyze verify --root="$root" coffer@store.service coffer@store.socket \
  coffer-scrub@store.service coffer-scrub@store.timer

# The damaged twin: a unit whose daemon is missing is refused.
rm "$(find "$root" -name cofferd)"
if systemd-analyze verify --root="$root" coffer@store.service 2>/dev/null; then
  echo "systemd-analyze does not see that the daemon is missing: this test proves nothing"
  exit 1
fi
