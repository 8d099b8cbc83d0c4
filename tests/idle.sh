#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A run that has nothing to do uses less than half a percent of a CPU for each rank, its host and its workers
# together. CPU time is counted, by the kernel, in nanoseconds; how fast the machine is does not matter.
bin=${1:-$MPMAP_BIN}
program=$(dirname "$bin")/tests/long_run
seconds=10 limit_permille=5
. "${2:-$MPMAP_SOURCE}/tests/support/check.sh"
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# All processes below one that are a program of ours.
ours()
{
    local child
    case $(cat "/proc/$1/comm" 2>/dev/null) in
    long_run | mpmap-forker | mpmap-worker) echo "$1" ;;
    esac
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do ours "$child"; done
}

# Nanoseconds of CPU that processes have used so far, all threads together.
cpu_ns()
{
    local pid total=0 used rest
    for pid; do
        while read -r used rest; do total=$((total + used)); done < <(cat /proc/"$pid"/task/*/schedstat)
    done
    echo "$total"
}

for launch in "0 9" "4 9" "4 1" "4 2"; do
    read -r ranks per_node <<<"$launch"
    : >"$out"
    if [ "$ranks" = 0 ]; then
        "$program" idle $((seconds + 1)) >"$out" &
    else
        MPMAP_RANKS_PER_NODE=$per_node mpirun -n "$ranks" "$program" idle $((seconds + 1)) >"$out" &
    fi
    started=$!
    until grep -qs running "$out" || ! kill -0 "$started" 2>/dev/null; do read -rt 0.01 <> <(:) || true; done
    mapfile -t pids < <(ours "$started")
    before=$(cpu_ns "${pids[@]}")
    read -rt "$seconds" <> <(:) || true
    after=$(cpu_ns "${pids[@]}")
    wait "$started"
    ranks_or_one=$((ranks ? ranks : 1))
    share=$(((after - before) / (seconds * 1000 * ranks_or_one)))
    echo "$ranks ranks, at most $per_node a node: $share millionths of a CPU a rank"
    [ "${#pids[@]}" -ge $((3 * ranks_or_one)) ] && [ "$share" -lt $((limit_permille * 1000)) ]
    count "$ranks ranks: ${#pids[@]} processes used $((after - before)) ns" $?
done
report
