#!/usr/bin/env bash
# The house's two rules. A room includes only rooms above it; the pure rooms, base to report, do no I/O, read no
# clock, start no thread.
set -euo pipefail
cd "$(dirname "$0")/.."

rooms=(base model config catalog event profile engine emit population shard worker fit report io log metrics http command)
pure=13 # rooms from the front
bad=0

position() {
  for i in "${!rooms[@]}"; do
    [ "${rooms[$i]}" != "$1" ] || { echo "$i"; return; }
  done
  echo -1
}

files=0
for here in "${!rooms[@]}"; do
  room=${rooms[$here]}
  [ -d "daemon/$room" ] || continue
  while IFS= read -r file; do
    files=$((files + 1))
    while IFS= read -r included; do
      there=$(position "${included%%/*}")
      if [ "$there" -gt "$here" ]; then
        echo "$file includes $included: ${included%%/*} is below $room"
        bad=1
      fi
    done < <(sed -nE 's/^#include "([a-z]+\/[a-z0-9_]+\.h)".*/\1/p' "$file" | grep -v '^tagd/' || true)
    if [ "$here" -lt $pure ]; then
      if grep -nE '^#include <(unistd|time|pthread|fcntl|poll|signal|sys/[a-z]+|netinet/[a-z]+|librdkafka/.*|hiredis/.*|microhttpd)\.h?>' "$file"; then
        echo "$file: a pure room may not include this"
        bad=1
      fi
      if grep -nE '\b(fopen|fread|fwrite|printf|getenv|clock_gettime|gettimeofday|pthread_[a-z_]+|getrandom|rand)\(' "$file" |
        grep -vE '\b(sn|vsn|tagd_[a-z_]*)printf\('; then
        echo "$file: a pure room may not call this"
        bad=1
      fi
    fi
  done < <(find "daemon/$room" -name '*.[ch]' | sort)
done
[ $bad = 0 ] && echo "$files files, ${#rooms[@]} rooms: as they should be"
exit $bad
