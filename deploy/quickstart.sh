#!/usr/bin/env bash
# One command on a fresh Debian 12: installs what is needed, builds, starts a real Kafka and a real Redis on loopback, and runs
# the daemon on a sample shop: a minute of events of two dozen customers that ends now, then the silence of most of them.
#   deploy/quickstart.sh                until Ctrl-C
#   deploy/quickstart.sh --seconds N    for N seconds
# It uses free ports and a folder of its own, and leaves nothing running; run it as often as you like.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=
case "${1:-} $#" in
  " 0") ;;
  "--seconds 2") seconds=$2 ;;
  *) echo "usage: deploy/quickstart.sh [--seconds N]" >&2; exit 64 ;;
esac
[[ $seconds =~ ^[0-9]*$ ]] || { echo "--seconds wants a whole number, not \"$seconds\"" >&2; exit 64; }

work=$(mktemp -d "${TMPDIR:-/tmp}/tagd-quickstart.XXXXXX")
running=() # the latest first
start() { # a process group of its own, which Ctrl-C does not reach
  set -m
  "$@" &
  set +m
  running=("$!" "${running[@]}")
}
finish() {
  trap - EXIT INT TERM
  for pid in "${running[@]}"; do
    kill -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  deploy/broker/broker.sh stop "$work/kafka" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'stopped=yes' INT TERM
stopped=no

echo "== packages"
deploy/install.sh gcc libc6-dev cmake make pkg-config librdkafka-dev libhiredis-dev libssl-dev libcjson-dev liblz4-dev libmicrohttpd-dev libgnutls28-dev libsystemd-dev libxxhash-dev \
  libgsl-dev redis-server kcat jq curl maven default-jre-headless

echo "== build"
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
cmake --build build -j "$(nproc)" --target tagd >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }
echo "$(build/tagd --version): $PWD/build/tagd"

echo "== a Kafka broker and a Redis on loopback"
kafka=$(deploy/broker/broker.sh start "$work/kafka")
redis=$(deploy/broker/broker.sh port)
start redis-server --port "$redis" --bind 127.0.0.1 --save "" --appendonly yes --dir "$work" --logfile "$work/redis.log"
http=127.0.0.1:$(deploy/broker/broker.sh port)
echo "Kafka $kafka, Redis 127.0.0.1:$redis, data in $work"

echo "== the daemon"
cp deploy/catalogs/shop.json "$work/shop.json"
cat >"$work/tagd.json" <<END
{"catalog": "shop.json", "sources": [{"topic": "events"}], "kafka": {"bootstrap.servers": "$kafka"},
 "redis": {"url": "redis://127.0.0.1:$redis"}, "http": {"listen": "$http"}}
END
cat "$work/tagd.json"
run() { exec build/tagd run --config "$work/tagd.json" --create-topics 2>"$work/tagd.log"; }
start run
daemon=${running[0]}
for _ in $(seq 300); do
  [ "$(curl -s "http://$http/readyz" || true)" != ok ] || break
  kill -0 "$daemon" 2>/dev/null || { cat "$work/tagd.log"; exit 1; }
  sleep 0.1
done

# Events: a minute of them that ends now; then some customer comes back every few seconds, the others stay silent.
cat >"$work/events.awk" <<'END'
function event(second, millisecond, customers,    type, data, subject, u) {
  type = types[int(rand() * 5) + 1]; data = "{}"; u = rand()
  if (type == "order.paid") data = sprintf("{\"amount\":%.2f,\"category\":\"beauty\"}", 20 + rand() * 120)
  if (type == "chat.message") data = sprintf("{\"direction\":\"%s\"}", rand() < 0.7 ? "inbound" : "outbound")
  subject = sprintf("C%03d", int(customers * u * u) + 1)
  printf "%s\t{\"specversion\":\"1.0\",\"id\":\"e%d\",\"source\":\"%s\",\"type\":\"%s\",\"subject\":\"%s\",\"time\":\"%s.%03dZ\",\"data\":%s}\n", \
    subject, ++id, sources[int(rand() * 4) + 1], type, subject, strftime("%Y-%m-%dT%H:%M:%S", second, 1), millisecond, data
}
BEGIN {
  srand(seed); split("login live.view chat.message order.paid order.paid", types, " "); split("douyin wechat tmall store", sources, " ")
  if (one) { event(now, 0, 6); exit }
  for (i = 0; i < 120; i++) event(now - 60 + int(i / 2), (i % 2) * 500 + int(rand() * 400), 24)
}
END
produce() { kcat -P -q -b "$kafka" -t events -K "$(printf '\t')" -X topic.partitioner=murmur2_random; }
awk -v now="$(date +%s)" -v seed=7 -f "$work/events.awk" | produce
come_back() {
  local id=120
  while sleep 4; do
    awk -v now="$(date +%s)" -v seed=$id -v id=$id -v one=1 -f "$work/events.awk" | produce
    id=$((id + 1))
  done
}
start come_back

cat <<END

== tags change, because of events and because of silence. Meanwhile, in another terminal:
  redis-cli -p $redis hgetall tagd:tags:C001
  build/tagd explain --config $work/tagd.json C001
  curl -s http://$http/metrics | grep -v '^#'
END
[ -n "$seconds" ] && echo "  (stops by itself after $seconds seconds)" || echo "  (Ctrl-C stops it)"
echo
show_changes() {
  kcat -C -q -u -b "$kafka" -t tagd.tag-changes -o beginning -X isolation.level=read_committed -X fetch.wait.max.ms=50 2>/dev/null |
    jq --unbuffered -r '"\(.time[11:23]) \(.subject) \(.data.dimension): \(.data.from // "-") -> \(.data.to // "-"), by " +
      (if .data.origin == "time" then "silence" else .causationid end) + ": \(.data.because.rule // "no rule holds")" +
      (if .data.valid_until then "; next \(.data.then // "-") at \(.data.valid_until[11:23])" else "" end)'
}
start show_changes

waited=0
while [ $stopped = no ] && { [ -z "$seconds" ] || [ $waited -lt "$seconds" ]; } && kill -0 "$daemon" 2>/dev/null; do
  sleep 1 || true
  waited=$((waited + 1))
done

echo
if ! kill -0 "$daemon" 2>/dev/null && [ $stopped = no ]; then
  echo "the daemon ended:"
  cat "$work/tagd.log"
  exit 1
fi
if curl -s "http://$http/metrics" >"$work/metrics"; then
  echo "== in $waited seconds: $(awk '$1 == "tagd_events_total" {e = $2} /^tagd_tag_changes_total.*event/ {c = $2} /^tagd_tag_changes_total.*time/ {t = $2}
    END {printf "%d events, %d changes because of them, %d because of silence", e, c, t}' "$work/metrics")"
  echo "== build/tagd explain --config $work/tagd.json C001"
  build/tagd explain --config "$work/tagd.json" C001 || true
fi
echo "== stopping daemon, Redis and Kafka"
finish
echo "done; nothing is left running"
