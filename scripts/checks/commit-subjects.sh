#!/usr/bin/env bash
# Fails when the subject of the last commit has more than 72 characters. Checks nothing without a full history: the only
# commit of a shallow clone may be a merge that the hosting service made.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

readonly max_length=72
[[ $(git rev-parse --is-shallow-repository 2>/dev/null) == false ]] || exit 0
subject=$(git log -1 --no-merges --format=%s 2>/dev/null || true)
if ((${#subject} > max_length)); then
  echo "The subject of the last commit has ${#subject} characters, and $max_length are allowed: $subject" >&2
  exit 1
fi
