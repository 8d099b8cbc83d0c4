#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A run that has nothing to do sleeps: its hosts, fork servers and workers together wake up less than 50 times a second for
# each rank, from the first second on, and a worker never. Wake-ups are counted by the kernel, and how dear one is does not
# matter here: `mpmap bench wire` says what they cost.
bin=${1:-$MPMAP_BIN}
program=$(dirname "$bin")/tests/long_run
seconds=10 limit=50
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

# How often the threads of processes have gone to sleep so far.
sleeps()
{
    local pid
    for pid; do cat /proc/"$pid"/task/*/status; done | awk '$1 == "voluntary_ctxt_switches:" { sum += $2 } END { print sum }'
}

# Those of processes that are workers.
workers()
{
    local pid
    for pid; do
        if [ "$(cat "/proc/$pid/comm")" = mpmap-worker ]; then echo "$pid"; fi
    done
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
    mapfile -t asleep < <(workers "${pids[@]}")
    before=$(sleeps "${pids[@]}") of_workers=$(sleeps "${asleep[@]}")
    read -rt "$seconds" <> <(:) || true
    after=$(sleeps "${pids[@]}")
    of_workers=$(($(sleeps "${asleep[@]}") - of_workers))
    wait "$started"
    ranks_or_one=$((ranks ? ranks : 1))
    rate=$(((after - before) / (seconds * ranks_or_one)))
    echo "$ranks ranks, at most $per_node a node: $rate wake-ups a second and rank, $of_workers of workers"
    [ "${#pids[@]}" -ge $((3 * ranks_or_one)) ] && [ "$rate" -lt "$limit" ] && [ "$of_workers" = 0 ]
    count "$ranks ranks: ${#pids[@]} processes woke $((after - before)) times, ${#asleep[@]} workers $of_workers times" $?
done
report
