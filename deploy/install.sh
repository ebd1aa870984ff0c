#!/usr/bin/env bash
# Installs the Debian packages named, those that are missing; no service of theirs is started.
#   install.sh PACKAGE...
set -euo pipefail
missing=()
for package in "$@"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then
  echo "all there"
  exit
fi
echo "installing ${missing[*]}"
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
made_policy=no
finish() {
  rm -f "$log"
  [ $made_policy = no ] || $sudo rm -f $policy
}
trap finish EXIT
if [ ! -e $policy ]; then # Debian would start a Redis of its own
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod +x $policy
  made_policy=yes
fi
$sudo apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; exit 69; }
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 69; }
