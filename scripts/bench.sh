#!/usr/bin/env bash
# Runs every benchmark beside its floor, five times in turn, and prints how they
# compare: medians, and the difference from the floor.
#
#	scripts/bench.sh                  about three minutes
#	scripts/bench.sh -benchtime 3s    any flags of go test
#
# Where PAYLOADS names a folder of collected payloads, the largest of those called
# stk-*.json, b2c-success-*.json and so on are parsed. It fetches benchstat.
set -euo pipefail
[ -z "${PAYLOADS:-}" ] || PAYLOADS=$(cd "$PAYLOADS" && pwd)
cd "$(dirname "$0")/.."
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
for run in 1 2 3 4 5; do
	echo "run $run of 5" >&2
	go test -run '^$' -bench . "$@" . ./parse >>"$figures"
done
go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da -col /by@'(floor main parse)' "$figures"
