#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Random campaigns, one after the other, for as long as is told (minutes; 30 if not): maps without trouble over
# all launches; maps whose workers are killed and stopped at random instants (kills.sh); deaths of every part of
# a run (deaths.sh); processes that are killed at random instants while they put, get, add and lock
# (history_test); the tests of objects with random delays between stores that matter (*_delays_test). Stops at
# the first failure, and tells the seed of its round: `soak.sh MINUTES SEED` begins with that. `soak.sh delays
# TIMES SEED` runs the tests with delays only, each so many times in a row. Looks for programs in the folder
# MPMAP_BIN, for sources in MPMAP_SOURCE.
set -uo pipefail
times=0
if [ "${1:-}" = delays ]; then
    times=${2:-1000}
    shift $(($# < 2 ? 1 : 2))
fi
minutes=${1:-30}
seed=${2:-$((EPOCHSECONDS % 1000000))}
[ "$times" = 0 ] || seed=${1:-$seed}
bin=${MPMAP_BIN:?}
source_folder=${MPMAP_SOURCE:?}
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_base_warn_component_unused=0
unset MPMAP_ARENA MPMAP_RANKS_PER_NODE MPMAP_LOG

# campaign SECONDS what command…: it must end well within the time, and leave nothing.
campaign()
{
    local limit=$1 what=$2 begun=$SECONDS
    shift 2
    keep_books
    if MPMAP_TEST_MARK=$mark timeout -k 5 "$limit" "$@" >"$work/out" 2>"$work/err" </dev/null &&
        wait_for 10 nothing_is_left; then
        echo "round $round, $what: good, $((SECONDS - begun)) s"
        return
    fi
    echo "round $round, $what: FAILED"
    tail -n 60 "$work/out" "$work/err" | cut -c1-300
    comm -13 "$work/shared_before" <(shared_files)
    echo "soak: round $round has failed after $((SECONDS / 60)) minutes; its seed is $seed"
    exit 1
}

# All tests with delays, at home and across nodes.
delays()
{
    local test
    for test in "$programs"/*_delays_test; do
        campaign 240 "${test##*/}, seed $seed" env MPMAP_TEST_SEED="$seed" "$test"
        campaign 240 "${test##*/}, 2 nodes, seed $seed" \
            env MPMAP_TEST_SEED="$seed" MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$test"
    done
}

if [ "$times" != 0 ]; then
    for ((round = 1; round <= times; round++, seed++)); do delays; done
    echo "soak: the tests with delays, $times times in $((SECONDS / 60)) minutes, all good"
    exit 0
fi

# A campaign that runs the maps of the tests in one launch: maps RANKS RANKS-PER-NODE
maps()
{
    if [ "$1" = 0 ]; then
        campaign 120 "map_test" "$programs/map_test"
    else
        campaign 120 "map_test, $1 ranks, at most $2 a node" \
            env MPMAP_RANKS_PER_NODE="$2" mpirun -n "$1" "$programs/map_test"
    fi
}

# A thousand deaths in one launch: histories RANKS RANKS-PER-NODE
histories()
{
    local run=("$programs/history_test")
    [ "$1" = 0 ] || run=(env MPMAP_RANKS_PER_NODE="$2" mpirun -n "$1" "${run[@]}")
    campaign 300 "history_test, $1 ranks, at most $2 a node, seed $seed" \
        env MPMAP_TEST_DEATHS=1000 MPMAP_TEST_SEED="$seed" "${run[@]}"
}

echo "soak: $minutes minutes, first seed $seed"
for ((round = 1; SECONDS < minutes * 60; round++, seed++)); do
    campaign 300 "kills, seed $seed" bash "$source_folder/tests/kills.sh" "$bin" "$source_folder" \
        $((5 + seed % 15)) "$seed"
    for launch in "0 9" "1 9" "2 9" "4 9" "2 1" "4 1" "4 2" "4 3"; do
        maps $launch
    done
    for launch in "0 9" "2 9" "2 1" "4 1"; do
        histories $launch
    done
    delays
    campaign 300 "deaths" bash "$source_folder/tests/deaths.sh" "$bin" "$source_folder"
done
echo "soak: $((round - 1)) rounds in $((SECONDS / 60)) minutes, all good"
