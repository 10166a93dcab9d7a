#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The supervisor's program from outside, with fake_child for engine and workers: exit codes, the
# ready page, one fleet a folder, signals, no orphans.
# usage: test_supervisor.sh SUPERVISOR FAKE_CHILD
set -euo pipefail
supervisor=$1 fake=$2
dir=$(mktemp -d)
pid=
cleanup() {
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT

fail() {
  echo "FAIL: $*" >&2
  cat "$dir/out" "$dir/err" >&2 2>/dev/null || true
  exit 1
}

# expect CODE COMMAND...: the command ends with this code.
expect() {
  local want=$1 got=0
  shift
  "$@" >"$dir/out" 2>"$dir/err" || got=$?
  [ "$got" = "$want" ] || fail "exit $got instead of $want: $*"
}

# until_true COMMAND...: tries for twenty seconds.
until_true() {
  for _ in $(seq 400); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    read -rt 0.05 <> <(:) || true
  done
  fail "never true: $*"
}

cat >"$dir/fleet.yaml" <<YAML
state_dir: $dir/state
engine: {program: $fake, listen: "127.0.0.1:0", http: ""}
workers:
  - {name: a, program: $fake, count: 2}
health: {port: 0}
metrics: {port: 0}
restart: {min_backoff: 20ms}
YAML
export FAKE_LOG=$dir/log
fleet=("$supervisor" --local -c "$dir/fleet.yaml")

# Exit codes; nothing else is touched.
expect 0 "$supervisor" --help
expect 0 "$supervisor" --version
expect 0 "$supervisor" -c "$dir/fleet.yaml" --check-config
expect 0 "$supervisor" -c "$dir/fleet.yaml" --print-config
grep -q "^health.port: 0  # $dir/fleet.yaml:5$" "$dir/out" || fail "print-config"
expect 64 "$supervisor" --no-such-option
expect 66 "$supervisor" -c "$dir/absent.yaml"
expect 78 "$supervisor" -c "$dir/fleet.yaml" --set health.prot=1
[ "$(wc -l <"$dir/err")" = 1 ] || fail "one line for one mistake"
cp "$dir/fleet.yaml" "$dir/open.yaml"
chmod 666 "$dir/open.yaml"
expect 77 "$supervisor" -c "$dir/open.yaml"
expect 78 "$supervisor" -c "$dir" --check-config
[ ! -e "$dir/state" ] || fail "a check made files"

json() { # json MEMBER: from fleet.json
  python3 -c "import json,sys; print(json.load(open('$dir/state/fleet.json'))['$1'])"
}
all_up() { # three processes with ids of their own, all up
  python3 - "$dir/state/fleet.json" <<'PY'
import json, sys
p = json.load(open(sys.argv[1]))["processes"]
sys.exit(len(p) != 3 or any(x["state"] != "up" for x in p))
PY
}
child() { python3 -c "import json; print(json.load(open('$dir/state/fleet.json'))['processes'][$1]['pid'])"; }
get() { # get PATH: status and body
  python3 - "$(json http)" "$1" <<'PY'
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1], timeout=5)
c.request("GET", sys.argv[2])
r = c.getresponse()
print(r.status, r.read().decode())
PY
}
page_has() { # page_has PATH PATTERN; read whole first: grep -q may leave early
  get "$1" >"$dir/page" && grep -q "$2" "$dir/page"
}
start() {
  rm -f "$dir/log" "$dir/state/fleet.json"
  "${fleet[@]}" >"$dir/out" 2>"$dir/err" &
  pid=$!
  until_true all_up
}

# Up: pages, one fleet a folder, what dies comes back.
start
page_has /health '^200 ' || fail "/health"
page_has /ready '^503 .*has not reported yet' || fail "/ready: fake workers do not report"
page_has /v1/fleet '"name":"a-2"' || fail "/v1/fleet"
page_has /metrics '^flotilla_child_up{process="engine",role="supervisor"' || fail "/metrics"
page_has / '<title>Flotilla' || fail "dashboard"
"${fleet[@]}" >"$dir/second" 2>&1 && fail "a second fleet started"
grep -q "another fleet runs in" "$dir/second" || fail "the second fleet's reason"
old=$(child 1)
kill -9 "$old"
came_back() { [ "$(child 1)" != "$old" ] && [ "$(child 1)" != 0 ] && all_up; }
until_true came_back

grep -q 'fleet.no_workers' "$dir/err" && fail "it has workers"

# SIGTERM: all stop in order, 0; nothing is left.
kids="$(child 0) $(child 1) $(child 2)"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "exit $code after SIGTERM"
[ "$(tail -n1 "$dir/log")" = "engine stop" ] || fail "the engine stops last"
for kid in $kids; do kill -0 "$kid" 2>/dev/null && fail "process $kid is left"; done
[ ! -e "$dir/state/fleet.json" ] || fail "fleet.json is left"

# Killed: the children end too, and the folder is free again.
start
kids="$(child 0) $(child 1) $(child 2)"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
gone() { for kid in $kids; do if kill -0 "$kid" 2>/dev/null; then return 1; fi; done; }
until_true gone

# A second signal ends at once, whatever the children do.
FAKE=deaf start
kill -TERM "$pid"
stopping() { grep -q supervisor.stopping "$dir/err"; }
until_true stopping
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=
[ "$code" = 130 ] || fail "exit $code after two signals"

# Without --config: the file of the current folder; without one, too, it says what is missing.
mkdir -p "$dir/here/config" "$dir/empty"
cp "$dir/fleet.yaml" "$dir/here/config/fleet.yaml"
cd "$dir/here"
expect 0 "$supervisor" --local --print-config
grep -q "^health.port: 0  # config/fleet.yaml:5$" "$dir/out" || fail "config/fleet.yaml was not read"
expect 0 "$supervisor" --print-config
grep -q "^health.port: 8080  # default$" "$dir/out" || fail "not for one that starts no fleet"
cd "$dir/empty"
# shellcheck disable=SC2016 # the script that is written expands them
printf '#!/bin/sh\necho "auto=$FLOTILLA_LOG_AUTO"\nexec "%s" "$@"\n' "$fake" >"$dir/engine"
chmod 700 "$dir/engine"
"$supervisor" --local --set log.format=text --set engine.program="$dir/engine" --set engine.listen=127.0.0.1:0 --set health.port=0 \
  --set metrics.port=0 >"$dir/out" 2>"$dir/err" &
pid=$!
warned() { grep -q 'no config/fleet.yaml here.*without workers.*--config FILE' "$dir/err"; }
until_true warned
as_we() { cat "$dir/out" "$dir/err" | grep -q '| auto=text$'; } # a log that is text is text all over
until_true as_we
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "exit $code of a fleet without workers"
echo PASS
