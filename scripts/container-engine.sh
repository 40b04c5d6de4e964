#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat <<'TEXT'
A Docker engine with compose for the container tests, on machines where docker does not answer.

  scripts/container-engine.sh up                 start an engine (nothing happens where docker answers)
  eval "$(scripts/container-engine.sh env)"      use it in this shell: DOCKER_HOST, DOCKER_CONFIG, PATH
  scripts/container-engine.sh down               stop the engine that "up" started

Needs root on Debian 12 or newer, and the apt and npm of this machine. It unpacks the packages of the engine into a
folder of its own, so that no service is installed or enabled. PATH then starts with a current nats-server, too.
Base images are pulled. Where no image registry answers, they are built from Debian packages and from Node's npm package.

  FANWIRE_ENGINE_CACHE    the unpacked programs (default ~/.cache/fanwire-engine, 220 MB)
  FANWIRE_ENGINE_DATA     images, containers, socket, log (default /tmp/fanwire-engine, 2 GB)
TEXT
}

cache=${FANWIRE_ENGINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fanwire-engine}
data=${FANWIRE_ENGINE_DATA:-${TMPDIR:-/tmp}/fanwire-engine}
log=$data/dockerd.log
pid_file=$data/dockerd.pid
socket=$data/docker.sock

# The newest suite first, because it has a current nats-server. The second is for the days when the first does not resolve.
engine_suites=(sid trixie)
engine_packages=docker.io,docker-cli,docker-buildx,docker-compose,nats-server
image_suite=trixie
node_major=24
images=("node:$node_major-trixie-slim" nats:2-alpine haproxy:3.0)

fail() {
  echo "container-engine: $*" >&2
  exit 1
}

answers() { docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

use_own_engine() {
  export DOCKER_HOST=unix://$socket DOCKER_CONFIG=$cache/config PATH=$cache/bin:$PATH
}

# Fails early with the reason, which the gate prints when it skips the container tests.
require_debian() {
  [[ $(id -u) == 0 ]] || fail "docker does not answer, and only root can start an engine"
  grep -qx "ID=debian" /etc/os-release || fail "docker does not answer; an engine is started on Debian only"
  command -v npm >/dev/null || fail "npm is missing"
}

# Prints the mirror that apt uses here.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Label: Debian" "Component: main" | head -n 1
}

install_helpers() {
  local package missing=()
  for package in runc iptables mmdebstrap; do
    dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
  done
  if ((${#missing[@]} == 0)) && [[ -n $(debian_mirror) ]]; then return; fi
  apt-get update -qq
  ((${#missing[@]} == 0)) || apt-get install -yqq --no-install-recommends "${missing[@]}" >/dev/null
}

# Unpacks without installing. Signatures are checked as always, but not the date: mirrors may be older than apt allows.
unpack() {
  mmdebstrap --quiet --mode=root --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' \
    --include="$engine_packages" "$1" "$2" "$(debian_mirror)"
}

fetch_programs() {
  local suite tree program
  tree=$(mktemp -d)
  for suite in "${engine_suites[@]}"; do
    echo "unpacking the engine from Debian $suite"
    unpack "$suite" "$tree/$suite" && break
    rm -rf "${tree:?}/$suite"
  done
  if [[ ! -d $tree/$suite ]]; then
    rm -rf "$tree"
    fail "Debian's packages of the engine cannot be unpacked"
  fi
  mkdir -p "$tree/cache/bin" "$tree/cache/config/cli-plugins"
  for program in docker dockerd docker-proxy docker-init containerd containerd-shim-runc-v2 nats-server; do
    find "$tree/$suite/usr/bin" "$tree/$suite/usr/sbin" -name "$program" -type f -exec mv {} "$tree/cache/bin" \;
  done
  mv "$tree/$suite"/usr/libexec/docker/cli-plugins/* "$tree/cache/config/cli-plugins"
  # This machine's own: a newer one may need a newer C library. The other programs bring all they need.
  ln -s "$(command -v runc)" "$tree/cache/bin/runc"
  rm -rf "$cache"
  mkdir -p "$(dirname "$cache")"
  mv "$tree/cache" "$cache"
  rm -rf "$tree"
}

# Containers may not open more files than this shell may: a higher limit is refused where root is itself in a container.
write_config() {
  local files
  files=$(ulimit -Hn)
  [[ $files != unlimited ]] || files=1048576
  cat >"$data/daemon.json" <<JSON
{
  "data-root": "$data/root",
  "exec-root": "$data/exec",
  "pidfile": "$pid_file",
  "hosts": ["unix://$socket"],
  "bip": "10.98.0.1/24",
  "default-address-pools": [{ "base": "10.99.0.0/16", "size": 24 }],
  "default-ulimits": { "nofile": { "Name": "nofile", "Soft": $files, "Hard": $files } },
  "userland-proxy-path": "$cache/bin/docker-proxy"
}
JSON
}

# Closes the files that the caller has open, because the engine outlives it: else the engine would keep a lock of flock.
run_detached() {
  local file
  for file in /proc/"$BASHPID"/fd/*; do
    file=${file##*/}
    ((file <= 2)) || eval "exec $file>&-"
  done
  exec setsid dockerd --config-file "$data/daemon.json"
}

start_engine() {
  mkdir -p "$data"
  write_config
  run_detached >"$log" 2>&1 </dev/null &
  local pid=$! attempt
  for attempt in {1..150}; do
    answers && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 20 "$log" >&2
  fail "dockerd does not answer; its log is $log"
}

# Builds one image from Debian packages: name, packages, then changes of the image and "--" and arguments of mmdebstrap.
build_image() {
  local name=$1 packages=$2 changes=()
  shift 2
  while [[ $1 != -- ]]; do
    changes+=(--change "$1")
    shift
  done
  shift
  mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" "$@" "$image_suite" - "$(debian_mirror)" |
    docker import "${changes[@]}" - "$name" >/dev/null
}

build_node() {
  local work
  work=$(mktemp -d)
  (cd "$work" && tar xzf "$(npm pack --silent "node-linux-$(node -p process.arch)@$node_major")")
  cp -rL "$(npm root --global)/npm" "$work/npm"
  # npm in a container has to trust whom npm trusts here.
  build_image "$1" ca-certificates 'CMD ["node"]' "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt" -- \
    --customize-hook="upload $work/package/bin/node /usr/local/bin/node" \
    --customize-hook='chmod 755 "$1/usr/local/bin/node"' \
    --customize-hook="upload /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt" \
    --customize-hook='mkdir -p "$1/usr/local/lib/node_modules"' \
    --customize-hook="copy-in $work/npm /usr/local/lib/node_modules" \
    --customize-hook='ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"' \
    --customize-hook='ln -s ../lib/node_modules/npm/bin/npx-cli.js "$1/usr/local/bin/npx"' \
    --customize-hook='chroot "$1" useradd --uid 1000 --user-group --create-home node'
  rm -rf "$work"
}

# With wget, as the official image has it: the health check of docker-compose.yml uses it.
build_nats() {
  build_image "$1" busybox 'ENTRYPOINT ["nats-server"]' 'CMD ["--config", "/etc/nats/nats-server.conf"]' -- \
    --customize-hook="upload $cache/bin/nats-server /usr/local/bin/nats-server" \
    --customize-hook='chmod 755 "$1/usr/local/bin/nats-server"' \
    --customize-hook='mkdir -p "$1/etc/nats"' \
    --customize-hook='ln -s /bin/busybox "$1/usr/local/bin/wget"'
}

# SIGUSR1 ends HAProxy when its connections have ended, as in the official image.
build_haproxy() {
  build_image "$1" haproxy 'ENTRYPOINT ["haproxy", "-W", "-db"]' 'CMD ["-f", "/usr/local/etc/haproxy/haproxy.cfg"]' \
    "STOPSIGNAL SIGUSR1" --
}

ensure_images() {
  local image can_pull=yes
  for image in "${images[@]}"; do
    docker image inspect "$image" >/dev/null 2>&1 && continue
    if [[ $can_pull == yes ]] && timeout 300 docker pull --quiet "$image" >/dev/null 2>&1; then continue; fi
    can_pull=no
    echo "no image registry answers; building $image from Debian packages"
    "build_${image%%:*}" "$image"
  done
}

up() {
  if [[ ${DOCKER_HOST:-} != "unix://$socket" ]] && answers; then
    echo "using the docker that answers"
    return
  fi
  require_debian
  install_helpers
  [[ -x $cache/bin/dockerd ]] || fetch_programs
  use_own_engine
  answers || start_engine
  ensure_images
  docker version --format 'Docker Engine {{.Server.Version}} is running'
}

print_env() {
  answers && return
  printf 'export DOCKER_HOST=%q DOCKER_CONFIG=%q PATH=%q:"$PATH"\n' "unix://$socket" "$cache/config" "$cache/bin"
}

down() {
  [[ -f $pid_file ]] || return 0
  local pid attempt
  pid=$(<"$pid_file")
  # After a crash another process may have the number.
  [[ $(readlink "/proc/$pid/exe" || true) == "$cache/bin/dockerd" ]] || fail "process $pid is not the engine; delete $pid_file"
  use_own_engine
  docker ps --quiet | xargs --no-run-if-empty docker stop --time 5 >/dev/null
  kill "$pid"
  for attempt in {1..100}; do
    [[ -e /proc/$pid ]] || break
    sleep 0.2
  done
  ip link delete docker0 2>/dev/null || true
}

case ${1:-} in
up) up ;;
env) print_env ;;
down) down ;;
-h | --help) usage ;;
*)
  usage >&2
  exit 2
  ;;
esac
