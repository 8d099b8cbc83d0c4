#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# MPI is entered by one thread of a rank at a time, from the start of a run to its end, however it was launched and
# however main leaves it; without a launcher it is not entered at all. Arguments: folder of mpmap, folder of the
# sources.
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
export LC_ALL=C.UTF-8
unset MPMAP_ARENA MPMAP_RANKS_PER_NODE MPMAP_LOG
mpiexec=${MPMAP_MPIEXEC:-mpirun}

# watch RANKS RANKS_PER_NODE PROGRAM…: runs it under the watch; 0 ranks: without a launcher, 0 a node: no virtual nodes
watch()
{
    local ranks=$1 per_node=$2 launcher=()
    shift 2
    rm -f "$work/calls"
    [ "$ranks" = 0 ] || launcher=("$mpiexec" -n "$ranks")
    [ "$per_node" = 0 ] || launcher=(env MPMAP_RANKS_PER_NODE="$per_node" "${launcher[@]}")
    timeout -k 2 200 "${launcher[@]}" env LD_PRELOAD="$programs/one_thread.so" MPMAP_MPI_CALLS="$work/calls" "$@" \
        >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# Each rank has ended MPI, after it was watched in there.
went_well() # ranks
{
    [ "$status" = 0 ] && [ "$(grep -cE '^rank with [1-9][0-9]+ calls$' "$work/calls" 2>/dev/null)" = "$1" ]
}

nobody_called()
{
    [ "$status" = 0 ] && [ ! -e "$work/calls" ]
}

for way in finalize exit; do
    watch 0 0 "$programs/tour" "$way"
    check "without a launcher nobody calls MPI, $way" nobody_called
    while read -r launch ranks per_node; do
        watch "$ranks" "$per_node" "$programs/tour" "$way"
        check "one thread at a time is in MPI, $launch, $way" went_well "$ranks"
    done <<'END'
r1 1 0
r2 2 0
n2 2 1
n4 4 1
n2r4 4 2
END
done
for per_node in 0 1; do
    watch 2 $per_node "$programs/tour" thread
    check "one thread at a time is in MPI, two ranks, $per_node a node, another thread ends the run" went_well 2
done
watch 2 1 "$programs/own_mpi_test" serialized
check "one thread at a time is in MPI that the program has started" went_well 2
report
