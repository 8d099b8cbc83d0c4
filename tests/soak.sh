#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Random campaigns, one after the other, for as long as is told (minutes; 30 if not): maps without trouble over all
# launches; maps, and all else that pools do, whose workers and hosts are killed and stopped at random instants, a
# thousand times in each of several ways (kills.sh); maps over data sets that are killed whole 300 times, and go on
# (resume.sh), and crawls 50 times (crawl_trouble.sh), also over nodes (crawl_nodes.sh), or from parts that are damaged
# in 3000 ways (damaged_parts.sh), or are drained 200 times (drain.sh), or that 4 runs join, of which random ones are killed, stopped and drained 300
# times (join.sh), also by Slurm (slurm.sh, slurm_trouble.sh); fork servers that are lost one after the other
# (hosts.sh); nodes that are lost (node_loss.sh); deaths of every part of a run (deaths.sh); maps over every data set of
# the files that HDF5 is tested with itself (every_set.sh), and over inputs that are damaged in 1000 ways
# (damaged_inputs.sh); processes that are killed
# at random instants while they put, get, add and lock (history_test); the tests of objects and pools with random delays
# between stores that matter (*_delays_test). Stops at the first failure, and tells the seed of its round: `soak.sh
# MINUTES SEED` begins with that. `soak.sh delays TIMES SEED` runs the tests of objects with delays only, each so many
# times, MPMAP_SOAK_JOBS of them at once (4 if not set), since they sleep for most of the time. Looks for programs in
# the folder MPMAP_BIN, for sources in MPMAP_SOURCE.
set -uo pipefail
shopt -s extglob
times=0
if [ "${1:-}" = delays ]; then
    times=${2:-1000}
    shift $(($# < 2 ? 1 : 2))
fi
minutes=${1:-30}
seed=${2:-$((EPOCHSECONDS % 1000000))}
soak_jobs=${MPMAP_SOAK_JOBS:-4}
of_pools='map|pool|apply|async|stream|blobs|stats|long_items'
[ "$times" = 0 ] || seed=${1:-$seed}
bin=${MPMAP_BIN:?}
source_folder=${MPMAP_SOURCE:?}
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
export OMPI_MCA_btl_base_warn_component_unused=0
unset MPMAP_ARENA MPMAP_RANKS_PER_NODE MPMAP_LOG

fail() # what FOLDER: what it said stands there
{
    echo "round $round, $1: FAILED"
    tail -n 60 "$2/out" "$2/err" | cut -c1-300
    comm -13 "$work/shared_before" <(shared_files)
    echo "soak: round $round has failed after $((SECONDS / 60)) minutes; its seed is $seed"
    exit 1
}

# campaign SECONDS what command…: it must end well within the time, and leave nothing.
campaign()
{
    local limit=$1 what=$2 begun=$SECONDS
    shift 2
    keep_books
    if ! MPMAP_TEST_MARK=$mark timeout -k 5 "$limit" "$@" >"$work/out" 2>"$work/err" </dev/null ||
        ! wait_for 10 nothing_is_left; then
        fail "$what" "$work"
    fi
    echo "round $round, $what: good, $((SECONDS - begun)) s"
}

# delay TIMES home|far TEST: a test with delays, so many times in one run.
delay()
{
    local name="${3##*/} $2" begun=$SECONDS launcher=()
    local folder=$work/$name what="$name, $1 times, seed $seed"
    mkdir -p "$folder"
    mark="$mark $name"
    [ "$2" = home ] || launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 2)
    if ! MPMAP_TEST_MARK=$mark MPMAP_TEST_SEED=$seed MPMAP_TEST_TIMES=$1 timeout -k 5 $((60 + 60 * $1)) \
        "${launcher[@]}" "$3" >"$folder/out" 2>"$folder/err" </dev/null ||
        ! wait_for 10 no_process_is_left; then
        fail "$what" "$folder"
    fi
    echo "round $round, $what: good, $((SECONDS - begun)) s"
}

# Waits for one that runs in the background. If it has failed, and said so, the others may end.
wait_for_one()
{
    wait -n && return
    wait
    exit 1
}

# delays TIMES TEST…: tests with delays, over 2 nodes and at home. Nobody knows whose files are in /dev/shm while
# several run: that is looked at when all have ended.
delays()
{
    local times=$1 test place
    shift
    keep_books
    for place in far home; do
        for test; do
            [ "$(jobs -rp | wc -l)" -lt "$soak_jobs" ] || wait_for_one
            delay "$times" $place "$test" &
        done
    done
    while [ -n "$(jobs -p)" ]; do wait_for_one; done
    wait_for 10 no_file_is_left || fail "files in /dev/shm" "$work"
}

if [ "$times" != 0 ]; then
    for ((round = 1, left = times; left > 0; round++, seed++, left -= 20)); do
        delays $((left < 20 ? left : 20)) "$programs"/!($of_pools)_delays_test
    done
    echo "soak: the tests of objects with delays, $times times in $((SECONDS / 60)) minutes, all good"
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
    campaign 1800 "kills, seed $seed" bash "$source_folder/tests/kills.sh" "$bin" "$source_folder" 1000 "$seed"
    [ ! -x "$bin/mpmap-photos" ] || campaign 1800 "photos" bash "$source_folder/tests/photos.sh" "$bin" "$source_folder" 100
    campaign 1800 "resume, seed $seed" bash "$source_folder/tests/resume.sh" "$bin" "$source_folder" 300 $((seed % 30000))
    campaign 1200 "damaged parts, seed $seed" bash "$source_folder/tests/damaged_parts.sh" "$bin" "$source_folder" 1500 $((seed % 30000))
    campaign 1800 "every data set of HDF5's own tests" bash "$source_folder/tests/every_set.sh" "$bin" "$source_folder" hdf5
    campaign 1800 "damaged inputs, seed $seed" bash "$source_folder/tests/damaged_inputs.sh" "$bin" "$source_folder" 1000 $((seed % 30000))
    campaign 600 "crawl" bash "$source_folder/tests/crawl_trouble.sh" "$bin" "$source_folder" 50
    campaign 900 "crawl over nodes" bash "$source_folder/tests/crawl_nodes.sh" "$bin" "$source_folder" 50
    campaign 1500 "drain, seed $seed" bash "$source_folder/tests/drain.sh" "$bin" "$source_folder" 100 $((seed % 30000))
    campaign 1800 "join, seed $seed" bash "$source_folder/tests/join.sh" "$bin" "$source_folder" 300 $((seed % 30000))
    campaign 300 "programs under slurm" bash "$source_folder/tests/slurm_programs.sh" "$bin" "$source_folder"
    campaign 500 "slurm" bash "$source_folder/tests/slurm.sh" "$bin" "$source_folder" long
    campaign 300 "slurm's troubles" bash "$source_folder/tests/slurm_trouble.sh" "$bin" "$source_folder"
    campaign 300 "hosts, seed $seed" bash "$source_folder/tests/hosts.sh" "$bin" "$source_folder" $((seed % 30000))
    for launch in "0 9" "1 9" "2 9" "4 9" "2 1" "4 1" "4 2" "4 3"; do
        maps $launch
    done
    for launch in "0 9" "2 9" "2 1" "4 1"; do
        histories $launch
    done
    delays 2 "$programs"/*_delays_test
    campaign 900 "nodes that are lost, seed $seed" bash "$source_folder/tests/node_loss.sh" "$bin" "$source_folder" 25 $((seed % 30000))
    campaign 300 "deaths" bash "$source_folder/tests/deaths.sh" "$bin" "$source_folder"
done
echo "soak: $((round - 1)) rounds in $((SECONDS / 60)) minutes, all good"
