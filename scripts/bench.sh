#!/usr/bin/env bash
# Runs every benchmark beside its floor, six times in turn, and prints the medians
# and how far they are from the floor. Six is the least for which benchstat gives a
# confidence interval.
#
#	scripts/bench.sh                  takes about four minutes
#	scripts/bench.sh -benchtime 3s    takes any flags of go test
#
# If PAYLOADS names a folder of collected payloads, the largest of its stk-*.json,
# b2c-*.json and b2c-timeout-*.json are parsed instead of this project's own. Needs
# Bash, and fetches benchstat.
set -euo pipefail
[ -z "${PAYLOADS:-}" ] || PAYLOADS=$(cd "$PAYLOADS" && pwd)
cd "$(dirname "$0")/.."
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
for run in 1 2 3 4 5 6; do
	echo "run $run of 6" >&2
	go test -run '^$' -bench . "$@" . ./parse >>"$figures"
done
go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da -col /by@'(floor main parse safaricom)' "$figures"
