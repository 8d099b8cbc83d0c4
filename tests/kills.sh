#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps whose workers are killed, and stopped, from outside at random instants: every result must be right all the
# same. soak.sh does this for long. Arguments: folder of mpmap, folder of the sources, and of each of the
# campaigns below its seconds (3) and a seed (by the clock).
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
seconds=${3:-3}
seed=${4:-$((EPOCHSECONDS % 1000000))}
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
echo "seed $seed"

ended_well() { [ "$status" = 0 ]; }
all_right() { grep -qE '^[0-9]+ maps of [0-9]+ items$' "$work/out"; }

# torment_a_map kill|stop ITEMS launcher…
torment_a_map()
{
    local way=$1 items=$2 started
    shift 2
    keep_books
    : >"$work/out"
    MPMAP_TEST_MARK=$mark timeout -k 2 $((seconds + 60)) "$@" "$programs/checked_map" "$items" "$seconds" "$seed" \
        >"$work/out" 2>"$work/err" &
    started=$!
    wait_for 30 is_running
    strikes=$("$programs/torment" "$way" "$started" $((seconds + 60)) "$seed")
    wait "$started"
    status=$?
    echo "$way, '$*': $strikes strikes, $(tail -n 1 "$work/out")"
    check "$way, '$*', seed $seed: the run ends well" ended_well
    check "$way, '$*', seed $seed: every result of every map is right" all_right
    check "$way, '$*', seed $seed: workers were struck" [ "${strikes:-0}" -ge $((seconds * 2)) ]
    check "$way, '$*', seed $seed: nothing is left" wait_for 5 nothing_is_left
}

for way in kill stop; do
    torment_a_map "$way" 1000000 env
    torment_a_map "$way" 1000000 env MPMAP_RANKS_PER_NODE=1 mpirun -n 4
done
# Maps so short that many workers are struck while one ends, a pool closes, or another opens.
torment_a_map kill 1000 env
torment_a_map kill 1000 env MPMAP_RANKS_PER_NODE=2 mpirun -n 4
report
