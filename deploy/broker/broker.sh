#!/usr/bin/env bash
# A real Apache Kafka on loopback: one broker, KRaft mode, for quickstart, tests and benchmarks. Not for production.
#   broker.sh fetch          jars from Maven Central into the cache, their SHA-256 checked
#   broker.sh start DIR [PORT...]   starts it, its data in DIR, on free ports it keeps; prints host:port once it serves. For each
#                            PORT, a proxy's, one more listener, of which clients are told that it is at that port; where it is: DIR/behind
#   broker.sh stop DIR       stops it (and waits); data stays
#   broker.sh kill DIR       kills it, as a crash would
#   broker.sh address DIR    prints host:port
#   broker.sh port           prints a free port of loopback
# Tests that need other listeners and settings give them in the environment of the first start: TAGD_BROKER_LISTENERS, as in
# "INSIDE=SASL_SSL:9093 OUTSIDE=SSL:9094", and TAGD_BROKER_PROPERTIES, lines of server.properties behind those below.
# Wants java (17 or later) and mvn. The cache is ${TAGD_CACHE:-$HOME/.cache/tagd}.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${TAGD_CACHE:-$HOME/.cache/tagd}
libs=$cache/kafka-4.1.0

usage() { sed -n '3,9s/^# *//p' "$0" >&2; exit 64; }
checked() { (cd "$libs" 2>/dev/null && sha256sum --quiet --strict -c "$here/SHA256SUMS" >/dev/null 2>&1); }

fetch() {
  checked && return
  local new=$libs.$$
  rm -rf "$libs" "$new"
  mkdir -p "$new"
  echo "fetching Kafka's jars from Maven Central into $libs" >&2
  mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$new" >&2
  mv "$new" "$libs"
  rm -rf "$here/target"
  checked || { echo "the jars in $libs are not those of $here/SHA256SUMS; remove the folder and try again" >&2; exit 69; }
}

free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  echo "no free port on loopback" >&2
  exit 69
}

running() { [ -s "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null; }

start() {
  local dir=$1 port controller proxy listener name protocol listeners advertised names ports
  shift
  fetch
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if running "$dir"; then cat "$dir/address"; return; fi
  if [ ! -s "$dir/server.properties" ]; then
    port=$(free_port)
    controller=$(free_port)
    while [ "$controller" = "$port" ]; do controller=$(free_port); done
    echo "127.0.0.1:$port" >"$dir/address"
    listeners=PLAINTEXT://127.0.0.1:$port
    advertised=$listeners names=PLAINTEXT:PLAINTEXT ports=" $port $controller "
    : >"$dir/behind"
    for proxy; do
      port=$(free_port)
      while [[ $ports == *" $port "* ]]; do port=$(free_port); done
      ports+="$port "
      listeners+=,BEHIND$proxy://127.0.0.1:$port advertised+=,BEHIND$proxy://127.0.0.1:$proxy names+=,BEHIND$proxy:PLAINTEXT
      echo "127.0.0.1:$port" >>"$dir/behind"
    done
    for listener in ${TAGD_BROKER_LISTENERS:-}; do
      name=${listener%%=*} port=${listener##*:} protocol=${listener#*=}
      listeners+=,$name://127.0.0.1:$port advertised+=,$name://127.0.0.1:$port names+=,$name:${protocol%:*}
    done
    cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=$listeners,CONTROLLER://127.0.0.1:$controller
advertised.listeners=$advertised
controller.listener.names=CONTROLLER
listener.security.protocol.map=$names,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.retention.ms=-1
log.segment.bytes=67108864
${TAGD_BROKER_PROPERTIES:-}
END
    # the id has neither '-', which in front would be taken for an option, nor '_'
    java -cp "$libs/*" kafka.tools.StorageTool format -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'AA' | tr -d =)" \
      -c "$dir/server.properties" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; exit 69; }
  fi
  : >"$dir/broker.log"
  setsid java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${TAGD_BROKER_JAVA:-} -cp "$libs/*" kafka.Kafka "$dir/server.properties" \
    >"$dir/broker.log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  for _ in $(seq 600); do
    if grep -q 'Kafka Server started' "$dir/broker.log"; then
      cat "$dir/address"
      return
    fi
    running "$dir" || break
    sleep 0.1
  done
  tail -n 30 "$dir/broker.log" >&2
  echo "the broker did not start; its log is $dir/broker.log" >&2
  exit 69
}

finish() {
  local dir=$1 signal=$2
  running "$dir" || { rm -f "$dir/pid"; return 0; }
  kill -"$signal" "$(cat "$dir/pid")" 2>/dev/null || true
  for _ in $(seq 300); do
    running "$dir" || { rm -f "$dir/pid"; return 0; }
    sleep 0.1
  done
  kill -KILL "$(cat "$dir/pid")" 2>/dev/null || true
  rm -f "$dir/pid"
}

case "${1:-} $#" in
  "fetch 1") fetch ;;
  "start "[2-9]) start "${@:2}" ;;
  "stop 2") finish "$2" TERM ;;
  "kill 2") finish "$2" KILL ;;
  "address 2") cat "$2/address" ;;
  "port 1") free_port ;;
  *) usage ;;
esac
