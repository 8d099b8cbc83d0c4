#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Random campaigns, one after the other, for as long as is told (minutes; 30 if not): maps without trouble over
# all launches; maps whose workers are killed and stopped at random instants (kills.sh); deaths of every part of
# a run (deaths.sh). Stops at the first failure, and tells the seed of its round: `soak.sh MINUTES SEED` begins
# with that. Looks for programs in the folder MPMAP_BIN, for sources in MPMAP_SOURCE.
set -uo pipefail
minutes=${1:-30}
seed=${2:-$((EPOCHSECONDS % 1000000))}
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

echo "soak: $minutes minutes, first seed $seed"
for ((round = 1; SECONDS < minutes * 60; round++, seed++)); do
    campaign 300 "kills, seed $seed" bash "$source_folder/tests/kills.sh" "$bin" "$source_folder" \
        $((5 + seed % 15)) "$seed"
    for launch in "0 9" "1 9" "2 9" "4 9" "2 1" "4 1" "4 2" "4 3"; do
        maps $launch
    done
    campaign 300 "deaths" bash "$source_folder/tests/deaths.sh" "$bin" "$source_folder"
done
echo "soak: $((round - 1)) rounds in $((SECONDS / 60)) minutes, all good"
