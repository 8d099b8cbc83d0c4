#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The examples print what they promise, however they are launched. Argument: folder of the programs.
set -uo pipefail

bin=${1:-${MPMAP_BIN:?}}
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
passed=0 failed=0

# prints WANTED COMMAND…: the command succeeds, prints exactly that to stdout and nothing to stderr.
prints()
{
    local wanted=$1 out status
    shift
    out=$(timeout 60 "$@" 2>&1 </dev/null)
    status=$?
    if [ "$status" -eq 0 ] && [ "$out" = "$wanted" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED with status $status: $*"
        printf '    %s\n' "printed: $out" "should:  $wanted"
    fi
}

squares='Squared numbers: [1, 4, 9, 16, 25]'
prints "$squares" "$bin/examples/pool"
for ranks in 1 2 4; do
    prints "$squares" mpirun -n "$ranks" "$bin/examples/pool"
    prints "$squares" env MPMAP_RANKS_PER_NODE=1 mpirun -n "$ranks" "$bin/examples/pool"
done
prints 'Final value: 400000' "$bin/examples/value"
prints 'Final value: 400000' mpirun -n 2 "$bin/examples/value"

primes='22044 primes from 0 to 249999
19494 primes from 250000 to 499999
18700 primes from 500000 to 749999
18260 primes from 750000 to 999999
78498 primes below 1000000, the largest is 999983'
prints "$primes" "$bin/examples/primes"
prints "$primes" mpirun -n 2 "$bin/examples/primes"
prints "$primes" env MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/examples/primes"

# Two processes are nobody's to order: each pair of their lines may come either way round.
is_in_order()
{
    [ "$(sed -n 1,2p <<<"$1" | sort)" = "$(printf 'Worker %s started.\n' A B)" ] &&
        [ "$(sed -n 3,4p <<<"$1" | sort)" = "$(printf 'Worker %s finished.\n' A B)" ] &&
        [ "$(sed -n 5p <<<"$1")" = 'Both workers finished.' ]
}

# mpirun reads what each rank prints by itself: what was printed first may come last. Only what one process has printed
# keeps its order.
is_in_order_by_rank()
{
    local name
    for name in A B; do
        [ "$(grep "^Worker $name " <<<"$1")" = "$(printf "Worker $name %s.\n" started finished)" ] || return
    done
    [ "$(grep -v '^Worker [AB] ' <<<"$1")" = 'Both workers finished.' ]
}

# prints_processes ORDER COMMAND…: what apps/examples/processes.c prints, in an order that is right.
prints_processes()
{
    local order=$1 out status
    shift
    out=$(timeout 60 "$@" 2>&1 </dev/null)
    status=$?
    if [ "$status" -eq 0 ] && [ "$(wc -l <<<"$out")" -eq 5 ] && "$order" "$out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED with status $status: $*"
        printf '    %s\n' "printed: $out"
    fi
}

prints_processes is_in_order "$bin/examples/processes"
prints_processes is_in_order mpirun -n 1 "$bin/examples/processes"
prints_processes is_in_order_by_rank mpirun -n 2 "$bin/examples/processes"
prints_processes is_in_order_by_rank env MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/examples/processes"

# prints_queue COMMAND…: the same, of what apps/examples/queue.c prints. The two sides print each in its order.
prints_queue()
{
    local out status
    out=$(timeout 60 "$@" 2>&1 </dev/null)
    status=$?
    if [ "$status" -eq 0 ] && [ "$(echo "$out" | wc -l)" -eq 10 ] &&
        [ "$(echo "$out" | grep adding)" = "$(printf 'Producer adding %d to queue\n' 0 1 2 3 4)" ] &&
        [ "$(echo "$out" | grep received)" = "$(printf 'Consumer received %d\n' 0 1 2 3 4)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED with status $status: $*"
        printf '    %s\n' "printed: $out"
    fi
}

prints_queue "$bin/examples/queue"
prints_queue mpirun -n 2 "$bin/examples/queue"
prints_queue env MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/examples/queue"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
