#!/usr/bin/env bash
# One command on a fresh Debian 12: installs what the build needs, builds, and shows tags change on a sample shop: a minute of
# events of two dozen customers that end now, and then their silence. Leaves nothing running; run it as often as you like.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 0 ] || { echo "usage: deploy/quickstart.sh" >&2; exit 64; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== packages"
missing=()
for package in gcc cmake make pkg-config librdkafka-dev libhiredis-dev libcjson-dev libmicrohttpd-dev libxxhash-dev jq; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 1; }
else
  echo "all there"
fi

echo "== build"
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
cmake --build build -j "$(nproc)" >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }
echo "build/tagd is there: $(build/tagd --version)"

echo "== a minute of a shop's events, ending now"
awk -v now="$(date +%s)" 'BEGIN {
  srand(7); split("login live.view chat.message order.paid order.paid", types, " "); split("douyin wechat tmall store", sources, " ")
  for (i = 0; i < 120; i++) {
    type = types[int(rand() * 5) + 1]; data = "{}"
    if (type == "order.paid") data = sprintf("{\"amount\":%.2f,\"category\":\"beauty\"}", 20 + rand() * 120)
    if (type == "chat.message") data = sprintf("{\"direction\":\"%s\"}", rand() < 0.7 ? "inbound" : "outbound")
    u = rand()
    printf "{\"specversion\":\"1.0\",\"id\":\"e%d\",\"source\":\"%s\",\"type\":\"%s\",\"subject\":\"C%03d\",\"time\":\"%s.%03dZ\",\"data\":%s}\n",
      i, sources[int(rand() * 4) + 1], type, int(24 * u * u) + 1, strftime("%Y-%m-%dT%H:%M:%S", now - 60 + int(i / 2), 1), int(rand() * 400) + (i % 2) * 500, data
  }
}' >"$work/events.jsonl"
head -n 2 "$work/events.jsonl"
echo "... $(wc -l <"$work/events.jsonl") events"

echo "== tags, because of events and because of silence (two minutes of it)"
until=$(date -u -d '+2 minutes' +%Y-%m-%dT%H:%M:%SZ)
build/tagd simulate --catalog deploy/catalogs/shop.json --until "$until" "$work/events.jsonl" >"$work/changes.jsonl"
jq -r '"\(.time[11:23]) \(.subject) \(.data.dimension): \(.data.from // "-") -> \(.data.to // "-")  " +
  (if .data.origin == "time" then "by silence" else "by \(.causationid)" end) + "  because \(.data.because.rule) \(.data.because.values | tojson)" +
  (if .data.valid_until then "  next \(.data.then // "-") at \(.data.valid_until[11:23])" else "" end)' "$work/changes.jsonl" >"$work/lines"
head -n 12 "$work/lines"
echo "..."
tail -n 12 "$work/lines"
echo "$(wc -l <"$work/changes.jsonl") changes, $(grep -c '"origin":"time"' "$work/changes.jsonl") of them by time alone"

cat <<'END'
== where to go from here
  build/tagd check --catalog deploy/catalogs/shop.json      what is wrong with a catalog, or a summary of it
  build/tagd simulate --catalog F EVENTS.jsonl              your own catalog on your own events
END
