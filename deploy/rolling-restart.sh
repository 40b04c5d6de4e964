#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat <<'TEXT'
Restarts pushers or publishers one at a time, so that clients always find a ready one.

  rolling-restart.sh [options] compose [SERVICE]
      Replaces each container of a compose service (default: pusher) by a new one, which has the present image and
      settings. Starts the new one first. Run it in the folder of docker-compose.yml, after "docker compose build" or
      "pull" for an upgrade.

  rolling-restart.sh [options] units UNIT=ADMIN_URL...
      Restarts systemd units, such as fanwire@pusher=http://127.0.0.1:9236

  rolling-restart.sh [options] command COMMAND NAME=ADMIN_URL...
      Runs COMMAND in bash for each instance, with NAME as $1. It must stop the instance with SIGTERM, wait for its end,
      and start it again.

Options:
  --timeout SECONDS   maximum wait until an instance is ready (default 120)
  --pause SECONDS     time between two instances, in which clients reconnect and catch up (default 5)
  --dry-run           print what would be restarted
  --help

An instance is restarted only while all of them are ready. An instance counts as restarted when its process has another
start time and /readyz of its admin port answers 200; a container, when /readyz inside it does. The script ends with 1 at
the first instance that does not become ready, and leaves the others as they are.
TEXT
}

report() { echo "rolling-restart: $*"; }
fail() {
  echo "rolling-restart: $*" >&2
  exit 1
}

timeout=120
pause=5
dry_run=no

# Calls "$@" every half second until it succeeds. Returns 1 after the timeout.
wait_until() {
  local end=$((SECONDS + timeout))
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.5
  done
}

ask() { curl --silent --fail --max-time 5 "$1" 2>/dev/null; }
is_ready() { ask "$1/readyz" >/dev/null; }

# Prints the start times of the processes of an instance.
start_times() { ask "$1/metrics" | grep '^process_start_time_seconds' | awk '{ print $NF }' | sort -u; }

# Succeeds when an instance is ready and none of its processes ran before.
is_restarted() {
  local url=$1 before=$2 now
  is_ready "$url" || return 1
  now=$(start_times "$url") || return 1
  [[ -n $now ]] || return 1
  ! grep -qxFf <(echo "$before") <(echo "$now")
}

# Restarts instances that have an admin port. The first argument is a function that restarts one.
restart_instances() {
  local restart=$1 instance other name url before
  shift
  for instance in "$@"; do
    [[ $instance == ?*=http*://* ]] || fail "not NAME=ADMIN_URL: $instance"
  done
  for instance in "$@"; do
    name=${instance%%=*} url=${instance#*=}
    if [[ $dry_run == yes ]]; then
      report "would restart $name and wait for $url/readyz"
      continue
    fi
    for other in "$@"; do
      is_ready "${other#*=}" || fail "${other%%=*} is not ready, so $name is not restarted"
    done
    before=$(start_times "$url") || fail "$name shows no process_start_time_seconds at $url/metrics"
    report "restarting $name"
    "$restart" "$name" || fail "the restart of $name failed"
    wait_until is_restarted "$url" "$before" || fail "$name is not ready after $timeout s: $(curl -sS --max-time 5 "$url/readyz" 2>&1 || true)"
    report "$name is ready"
    [[ $instance == "${!#}" ]] || sleep "$pause"
  done
}

restart_unit() { systemctl restart "$1"; }
restart_by_command() { bash -c "$command" rolling-restart "$1"; }

containers_of() { docker compose ps --quiet "$1"; }

# Asks /readyz inside a container. The images have no program but Node, which costs some 90 ms of CPU for each question.
is_container_ready() {
  docker exec "$1" node -e '
    const { PUSHER_ADMIN_PORT, PUBLISHER_ADMIN_PORT, CHANNEL_ADMIN_PORT, WEBHOOKS_ADMIN_PORT } = process.env;
    const port = PUSHER_ADMIN_PORT ?? PUBLISHER_ADMIN_PORT ?? CHANNEL_ADMIN_PORT ?? WEBHOOKS_ADMIN_PORT;
    fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1));
  ' >/dev/null 2>&1
}

# Replaces the containers of a compose service: one more, then one less.
replace_containers() {
  local service=$1 old new count
  local -a containers
  mapfile -t containers < <(containers_of "$service")
  count=${#containers[@]}
  ((count > 0)) || fail "no container of $service runs"
  for old in "${containers[@]}"; do
    if [[ $dry_run == yes ]]; then
      report "would replace $old"
      continue
    fi
    for new in $(containers_of "$service"); do
      is_container_ready "$new" || fail "container $new is not ready, so $old is not replaced"
    done
    report "starting a container beside $old"
    docker compose up --detach --no-deps --no-recreate --scale "$service=$((count + 1))" "$service"
    new=$(containers_of "$service" | grep -vxF -f <(printf '%s\n' "${known[@]:-}" "${containers[@]}") || true)
    [[ $new =~ ^[0-9a-f]+$ ]] || fail "compose started no container beside $old"
    wait_until is_container_ready "$new" || fail "container $new is not ready after $timeout s; $old still runs"
    known+=("$new")
    # The proxy finds the new container.
    sleep "$pause"
    report "stopping $old"
    # The container has the grace period of the compose file.
    docker stop "$old" >/dev/null
    docker rm "$old" >/dev/null
    report "$new has replaced $old"
  done
}
known=()

while [[ ${1:-} == --* ]]; do
  case $1 in
    --timeout | --pause)
      [[ ${2:-} =~ ^[0-9]+$ ]] || fail "$1 needs a number of seconds"
      declare "${1#--}=$2"
      shift
      ;;
    --dry-run) dry_run=yes ;;
    --help)
      usage
      exit 0
      ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift
done

mode=${1:-}
[[ -z $mode ]] || shift
case $mode in
  compose)
    (($# <= 1)) || fail "compose takes one service"
    replace_containers "${1:-pusher}"
    ;;
  units)
    (($# > 0)) || fail "units needs UNIT=ADMIN_URL; see --help"
    restart_instances restart_unit "$@"
    ;;
  command)
    (($# > 1)) || fail "command needs COMMAND and NAME=ADMIN_URL; see --help"
    command=$1
    shift
    restart_instances restart_by_command "$@"
    ;;
  -h | help)
    usage
    exit 0
    ;;
  *) fail "name what to restart: compose, units or command; see --help" ;;
esac
[[ $dry_run == yes ]] || report "done"
