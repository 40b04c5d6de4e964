#!/usr/bin/env bash
# Fails when the subject of one of the last commits has more than 72 characters. Merges do not count: hosting services
# write their subjects. Checks nothing without a full history, which may end anywhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

readonly max_length=72 checked=100
[[ $(git rev-parse --is-shallow-repository 2>/dev/null) == false ]] || exit 0
long=0
while IFS= read -r subject; do
  ((${#subject} > max_length)) || continue
  echo "The subject of a commit has ${#subject} characters, and $max_length are allowed: $subject" >&2
  long=1
done < <(git log -n "$checked" --no-merges --format=%s 2>/dev/null)
exit "$long"
