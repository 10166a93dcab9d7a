# The programs of others that interop and bench run against ours: each is had once, under build/interop.
# Sourced after lib.sh. A function that returns 1 has said why in $why.
# shellcheck shell=bash disable=SC2034
PYTHON_SDK=('temporalio[opentelemetry]==1.35.0' opentelemetry-proto==1.45.2
  cryptography==50.0.2 zstandard==0.25.0)
PYTHON_GRPC=(grpcio==1.85.1 grpcio-tools==1.85.1)
TEMPORAL_SERVER=github.com/temporalio/cli/cmd/temporal@v1.5.1 # carries server 1.29.1
peers=$ROOT/build/interop
why=

# python_peer FOLDER PACKAGE...: a virtual environment $peers/FOLDER with these packages.
python_peer() {
  local folder=$peers/$1
  shift
  [ "$(cat "$folder/installed" 2>/dev/null)" != "$*" ] || return 0
  [ -x "$folder/bin/pip" ] || python3 -m venv "$folder" 2>/dev/null ||
    { (apt_install python3-venv) && python3 -m venv "$folder"; } || {
    why="no Python virtual environment can be made"
    return 1
  }
  "$folder/bin/pip" install -q --disable-pip-version-check "$@" || {
    why="pip cannot install $*"
    return 1
  }
  printf '%s' "$*" >"$folder/installed"
}

# npm_peer FOLDER [FROM]: $peers/FOLDER has the programs of FROM (default: bench/peers/FOLDER) and the packages that
# they name; what those of bench/peers share lies above it, as it does there.
npm_peer() {
  local from=${2:-$ROOT/bench/peers/$1}
  command -v npm >/dev/null 2>&1 || {
    why="$1 needs Node.js with npm, and there is none"
    return 1
  }
  mkdir -p "$peers/$1"
  cp "$ROOT/bench/peers"/*.mjs "$peers/"
  cp "$from"/* "$peers/$1/"
  cmp -s "$peers/$1/package.json" "$peers/$1/installed.json" && return 0
  (cd "$peers/$1" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock &&
    cp package.json installed.json) >"$peers/$1-install.log" 2>&1 || {
    tail -5 "$peers/$1-install.log" >&2
    why="npm cannot install what $1 needs"
    return 1
  }
}

# go_peer PROGRAM FOLDER ARGUMENT...: $peers/bin/PROGRAM, by go with these arguments in FOLDER.
go_peer() {
  mkdir -p "$peers/bin"
  command -v go >/dev/null 2>&1 || {
    why="$1 needs Go to build it, and there is none"
    return 1
  }
  (cd "$2" && GOBIN=$peers/bin go "${@:3}") >"$peers/$1-build.log" 2>&1 || {
    tail -5 "$peers/$1-build.log" >&2
    why="$1 cannot be built"
    return 1
  }
}

# The official Python SDK and gRPC's own client: $peers/venv/bin/python imports temporalio, grpc, grpc_tools.
peer_python_sdk() { python_peer venv "${PYTHON_SDK[@]}" "${PYTHON_GRPC[@]}"; }

# A real Temporal server: $peers/bin/temporal.
peer_temporal_server() {
  [ ! -x "$peers/bin/temporal" ] || return 0
  say "a real Temporal server ($TEMPORAL_SERVER) takes some minutes to build, once"
  go_peer temporal "$ROOT" install "$TEMPORAL_SERVER"
}

# The benchmark's worker on the official Go SDK: $peers/bin/go-worker.
peer_go_worker() { go_peer go-worker "$ROOT/bench/peers/go" build -o "$peers/bin/go-worker" .; }

# The benchmark's worker on the official TypeScript SDK: node runs $peers/typescript/worker.js.
peer_typescript_worker() { npm_peer typescript; }

# The feature by feature programs on the official Go and TypeScript SDKs: $peers/bin/sdk-go HOST:PORT and
# node $peers/sdk-typescript/sdk.js HOST:PORT.
peer_go_sdk() { go_peer sdk-go "$ROOT/tests/interop/sdks/go" build -o "$peers/bin/sdk-go" .; }
peer_typescript_sdk() { npm_peer sdk-typescript "$ROOT/tests/interop/sdks/typescript"; }

# Restate's server and its TypeScript SDK, with the service and the load of bench/peers/restate.
peer_restate() { npm_peer restate; }

# Debian's Prometheus, with promtool; its service, if it was started, is none of ours.
peer_prometheus() {
  { command -v prometheus && command -v promtool; } >/dev/null 2>&1 || (apt_install prometheus) || {
    why="Prometheus cannot be installed"
    return 1
  }
}

# What counts instructions (bench/micro.py).
peer_valgrind() {
  command -v valgrind >/dev/null 2>&1 || (apt_install valgrind) || {
    why="valgrind cannot be installed, so no instructions are counted"
    return 1
  }
}

# What counts system calls and disk flushes.
peer_strace() {
  command -v strace >/dev/null 2>&1 || (apt_install strace) || {
    why="strace cannot be installed, so no disk flushes are counted"
    return 1
  }
}

# Debian's Redis server as $peers/bin/redis-server. The program is in redis-tools, which has no service that would be
# started; it is a server when its name says so.
peer_redis() {
  mkdir -p "$peers/bin"
  [ -x /usr/bin/redis-check-rdb ] || (apt_install redis-tools) || {
    why="Redis (redis-tools) cannot be installed"
    return 1
  }
  ln -sfn /usr/bin/redis-check-rdb "$peers/bin/redis-server"
}

# Job queues on Redis, each for its worker and producer in bench/peers.
peer_arq() { python_peer arq arq==0.28.0 redis==5.3.1 hiredis==3.5.0 uvloop==0.23.0; }
peer_celery() { python_peer celery 'celery[redis]==5.7.0' redis==8.1.0 hiredis==3.5.0; }
peer_bullmq() { npm_peer bullmq; }
peer_asynq() { go_peer asynq-jobs "$ROOT/bench/peers/asynq" build -o "$peers/bin/asynq-jobs" .; }

# Debian's Chromium, in which the dashboard is tested.
peer_chromium() {
  why="there is no Chromium: apt-get install chromium"
  command -v chromium >/dev/null || (apt_install chromium)
}
