#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The examples print what they promise, however they are launched. Argument: folder of the programs.
set -uo pipefail

bin=${1:-${MPMAP_BIN:?}}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 \
    OMPI_MCA_hwloc_base_binding_policy=none
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

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
