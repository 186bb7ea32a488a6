#!/usr/bin/env bash
# Runs the tests, and at the same time those that start a server once more with two workers beside
# the process that writes: each of the two waits more than it computes.
#   scripts/test.sh BIN TEST...      BIN: where pytest is; TEST...: what is run again
set -eu
bin=$1
shift
told=$(mktemp)
trap 'rm -f "$told"' EXIT

set -m # a process group of its own: without one bash lets it ignore Ctrl-C, which tests send
SERVER_WORKERS=2 CRASH_CYCLES=6 "$bin/pytest" -p no:cacheprovider "$@" >"$told" 2>&1 </dev/null &
again=$!
set +m
trap 'kill -- "-$again" 2>/dev/null || true; rm -f "$told"; exit 130' INT TERM

status=0
"$bin/pytest" -m "not peers" || status=$?
again_status=0
wait "$again" || again_status=$?
echo
echo "Once more with --workers 2:"
cat "$told"
[ "$status" -ne 0 ] || status=$again_status
exit "$status"
