#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap over MPICH, where that stands beside the MPI of this build (Debian: mpich, libmpich-dev): built for it into a
# folder below the build folder, started thirty times, and watched in what it calls. Programs that the launcher of the
# other MPI starts fail in each rank. Arguments: folder of mpmap, folder of the sources, and "all": then the tests of
# maps, pools, queues and processes on one node, two and three, too, for some minutes.
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
how_much=${3:-some}
build=$(dirname "$bin")/mpich
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
export LC_ALL=C.UTF-8
unset MPMAP_ARENA MPMAP_RANKS_PER_NODE MPMAP_LOG

for tool in mpicc.mpich mpiexec.mpich; do
    if ! command -v $tool >/dev/null; then
        echo "skipped, because there is no $tool: apt-get install mpich libmpich-dev"
        exit 0
    fi
done
if grep -q '^MPI_C_COMPILER:.*mpich' "$(dirname "$bin")/CMakeCache.txt"; then
    echo "skipped, because this build is for MPICH itself"
    exit 0
fi

# --- The build -------------------------------------------------------------------------------------------

programs=(map_test pool_test queue_test process_test)
targets=(tour one_thread own_mpi_test runtime_test)
[ "$how_much" != all ] || targets+=("${programs[@]}")
mkdir -p "$build"
if ! { cmake -S "$source_folder" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DMPI_C_COMPILER="$(command -v mpicc.mpich)" &&
    cmake --build "$build" -j 2 --target "${targets[@]}"; } >"$work/build" 2>&1; then
    tail -n 40 "$work/build"
    echo "FAILED: mpmap cannot be built for MPICH"
    exit 1
fi

# --- Runs ------------------------------------------------------------------------------------------------

# run NODES SECONDS command…: 0 nodes: as it is. Keeps $status, $work/out and $work/err.
run()
{
    local launcher=() seconds=$2
    [ "$1" = 0 ] || launcher=(env MPMAP_RANKS_PER_NODE=1 mpiexec.mpich -n "$1")
    shift 2
    MPMAP_TEST_MARK=$mark timeout -k 2 "$seconds" "${launcher[@]}" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

status_is() { [ "$status" = "$1" ]; }
fails() { [ "$status" -ge 1 ] && [ "$status" -lt 124 ]; }

ways=(finalize exit)
keep_books
for start in $(seq 30); do
    run 3 60 "$build/tests/tour" "${ways[start % 2]}"
    check "start $start of 30 on three nodes" status_is 0
done
check "it is MPICH" grep -q '^3 nodes, 3 ranks, MPI: MPICH [0-9.]*$' "$work/out"
run 2 60 "$build/tests/runtime_test"
check "a run consists of the ranks that were launched" status_is 0
MPMAP_MPIEXEC=mpiexec.mpich bash "$source_folder/tests/one_thread.sh" "$build/bin" "$source_folder" >"$work/out" 2>&1
check "one thread at a time is in MPICH" status_is "$?"
if [ "$how_much" = all ]; then
    for program in "${programs[@]}"; do
        for nodes in 1 2 3; do
            run $nodes 240 "$build/tests/$program"
            check "$program on $nodes nodes" status_is 0
        done
    done
fi
check "nothing is left" wait_for 60 nothing_is_left

# --- The other launcher ----------------------------------------------------------------------------------

# How many ranks have named what each of the two says.
count_sayings() # variable
{
    grep -cE "^[a-z0-9_]+: on [^ ]+: $1 is 3, .* but MPI \([^)]+\) reports that there is 1: " "$work/err"
}

run 0 60 mpiexec.mpich -n 3 "$bin/examples/04_pool"
check "the launcher of MPICH and a program for another MPI: it fails" fails
check "the launcher of MPICH and a program for another MPI: each rank says so" [ "$(count_sayings PMI_SIZE)" = 3 ]
run 0 60 mpirun -n 3 "$build/tests/tour" finalize
check "another launcher and a program for MPICH: it fails" fails
# It ends all ranks when one has failed.
check "another launcher and a program for MPICH: a rank at least says so" [ "$(count_sayings OMPI_COMM_WORLD_SIZE)" -ge 1 ]
check "nothing is left of either" wait_for 60 nothing_is_left
report
