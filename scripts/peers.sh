# The programs of others that interop and bench run against ours: each is had once, under build/interop.
# Sourced after lib.sh. A function that returns 1 has said why in $why.
# shellcheck shell=bash disable=SC2034
PYTHON_SDK=temporalio==1.35.0
TEMPORAL_SERVER=github.com/temporalio/cli/cmd/temporal@v1.5.1 # carries server 1.29.1
peers=$ROOT/build/interop
why=

# The official Python SDK: $peers/venv/bin/python imports temporalio.
peer_python_sdk() {
  mkdir -p "$peers"
  if [ ! -x "$peers/venv/bin/python" ]; then
    python3 -m venv "$peers/venv" 2>/dev/null || { apt_install python3-venv && python3 -m venv "$peers/venv"; } || {
      why="no Python virtual environment can be made"
      return 1
    }
  fi
  "$peers/venv/bin/python" -c 'import temporalio' 2>/dev/null ||
    "$peers/venv/bin/pip" install -q --disable-pip-version-check "$PYTHON_SDK" || {
    why="the official Python SDK ($PYTHON_SDK) cannot be installed"
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

# A real Temporal server: $peers/bin/temporal, built by `go install` (three minutes).
peer_temporal_server() {
  mkdir -p "$peers"
  [ ! -x "$peers/bin/temporal" ] || return 0
  command -v go >/dev/null 2>&1 || {
    why="a real Temporal server needs Go to build it, and there is none"
    return 1
  }
  say "building a real Temporal server ($TEMPORAL_SERVER); this takes some minutes, once"
  GOBIN=$peers/bin go install "$TEMPORAL_SERVER" >"$peers/go-install.log" 2>&1 || {
    tail -5 "$peers/go-install.log" >&2
    why="the real Temporal server cannot be built"
    return 1
  }
}

# The benchmark's worker on the official Go SDK: $peers/bin/go-worker.
peer_go_worker() {
  mkdir -p "$peers/bin"
  command -v go >/dev/null 2>&1 || {
    why="the Go SDK's worker needs Go to build it, and there is none"
    return 1
  }
  (cd "$ROOT/bench/peers/go" && go build -o "$peers/bin/go-worker" .) >"$peers/go-build.log" 2>&1 || {
    tail -5 "$peers/go-build.log" >&2
    why="the Go SDK's worker cannot be built"
    return 1
  }
}

# npm_peer FOLDER: $peers/FOLDER has the programs of bench/peers/FOLDER and the packages that they name.
npm_peer() {
  command -v npm >/dev/null 2>&1 || {
    why="$1 needs Node.js with npm, and there is none"
    return 1
  }
  mkdir -p "$peers/$1"
  cp "$ROOT/bench/peers/$1"/* "$peers/$1/"
  cmp -s "$peers/$1/package.json" "$peers/$1/installed.json" && return 0
  (cd "$peers/$1" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock &&
    cp package.json installed.json) >"$peers/$1-install.log" 2>&1 || {
    tail -5 "$peers/$1-install.log" >&2
    why="npm cannot install what $1 needs"
    return 1
  }
}

# The benchmark's worker on the official TypeScript SDK: node runs $peers/typescript/worker.js.
peer_typescript_worker() { npm_peer typescript; }

# Restate's server and its TypeScript SDK, with the service and the load of bench/peers/restate.
peer_restate() { npm_peer restate; }

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

peer_arq() { python_peer arq arq==0.28.0 redis==5.3.1 hiredis==3.5.0 uvloop==0.23.0; }
peer_celery() { python_peer celery 'celery[redis]==5.7.0' redis==8.1.0 hiredis==3.5.0; }
peer_bullmq() { npm_peer bullmq; }

# $peers/bin/asynq-jobs: worker and producer on asynq.
peer_asynq() {
  mkdir -p "$peers/bin"
  command -v go >/dev/null 2>&1 || {
    why="asynq needs Go to build it, and there is none"
    return 1
  }
  (cd "$ROOT/bench/peers/asynq" && go build -o "$peers/bin/asynq-jobs" .) >"$peers/asynq-build.log" 2>&1 || {
    tail -5 "$peers/asynq-build.log" >&2
    why="asynq cannot be built"
    return 1
  }
}
