#!/usr/bin/env bash
# Fails when the subject of one of the last commits has more than 72 characters, or does not begin with an area, as in
# "pusher: close slow connections". Merges do not count: hosting services write their subjects. A shallow history is not
# checked, because it may end anywhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

readonly max_length=72 checked=100
readonly with_area='^[a-z0-9-]+(, [a-z0-9-]+)*: [^ ]'
[[ $(git rev-parse --is-shallow-repository 2>/dev/null) == false ]] || exit 0
wrong=0
while IFS= read -r subject; do
  if ((${#subject} > max_length)); then
    echo "The subject of a commit has ${#subject} characters, and $max_length are allowed: $subject" >&2
  elif [[ ! $subject =~ $with_area ]]; then
    echo "The subject of a commit does not begin with its area: $subject" >&2
  else
    continue
  fi
  wrong=1
done < <(git log -n "$checked" --no-merges --format=%s 2>/dev/null)
exit "$wrong"
