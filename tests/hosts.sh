#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps whose hosts are killed from outside, one after the other, at random instants: the slots of each are lost,
# which is said, and the maps go on with every result right, as long as there is a host left; without any they end
# with an error. Arguments: folder of mpmap, folder of the sources, and a seed (by the clock).
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
RANDOM=${3:-$((EPOCHSECONDS % 30000))}
seed=$RANDOM
RANDOM=$seed
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
echo "seed $seed"

# Its maps of many items until seconds have passed, over hosts of which all die but so many.
lose_hosts() # ranks ranks-per-node hosts-that-stay seconds
{
    local ranks=$1 per_node=$2 stay=$3 seconds=$4 launcher=(env) started all hosts victim lost=0
    what="$ranks ranks, at most $per_node a node, $stay hosts stay, seed $seed"
    [ "$ranks" = 0 ] || launcher=(env MPMAP_RANKS_PER_NODE="$per_node" mpirun -n "$ranks")
    keep_books
    : >"$work/out"
    MPMAP_TEST_MARK=$mark timeout -k 2 200 "${launcher[@]}" "$programs/checked_map" 300000 "$seconds" "$seed" \
        >"$work/out" 2>"$work/err" &
    started=$!
    wait_for 60 is_running
    mapfile -t all < <(tree "$started")
    mapfile -t hosts < <(named mpmap-forker "${all[@]}")
    check "$what: each rank has a host" [ "${#hosts[@]}" = $((ranks ? ranks : 1)) ]
    mapfile -t hosts < <(printf '%s\n' "${hosts[@]}" | shuf --random-source=<(yes "$seed"))
    for victim in "${hosts[@]:stay}"; do
        read -rt "0.$((RANDOM % 400 + 100))" <> <(:) || true
        kill -KILL "$victim" 2>/dev/null && lost=$((lost + 1))
    done
    wait "$started"
    status=$?
    check "$what: it ends by itself" [ "$status" != 124 ]
    check "$what: each loss is said" [ "$(grep -c 'the fork server process of rank .* SIGKILL.* lost$' "$work/err")" -ge "$lost" ]
    check "$what: nothing is left" wait_for 60 nothing_is_left
}

all_right() { grep -qE '^[0-9]+ maps of [0-9]+ items$' "$work/out" && ! grep -q 'should be' "$work/err"; }
lost_a_part() { [ "$status" = 3 ]; }
has_failed() { [ "$status" = 1 ] && grep -q 'no worker' "$work/err"; }

for launch in "2 9" "4 9" "2 1" "4 1" "4 2"; do
    read -r ranks per_node <<<"$launch"
    lose_hosts "$ranks" "$per_node" 1 4
    check "$what: all results are right" all_right
    check "$what: the run says at its end that it has lost a part" lost_a_part
done
for launch in "0 9" "2 9" "4 9" "2 1" "4 2"; do
    read -r ranks per_node <<<"$launch"
    lose_hosts "$ranks" "$per_node" 0 20
    check "$what: no result is wrong" all_right
    check "$what: the map fails, and says that there are no workers" has_failed
done
report
