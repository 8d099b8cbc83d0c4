#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks that check-layers.sh finds what it is there for: each violation is planted in a small tree of its own.
set -u

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

# Makes a tree in which `file` includes `header` and says whether the check passes.
passes()
{
    local file=$1 include=$2

    rm -rf "${scratch:?}/tree"
    mkdir -p "$scratch/tree/lib/include/mpmap" "$scratch/tree/lib/base" "$scratch/tree/$(dirname "$file")"
    touch "$scratch/tree/lib/include/mpmap/status.h" "$scratch/tree/lib/base/error.h"
    echo "#include $include" >"$scratch/tree/$file"
    "$here/check-layers.sh" "$scratch/tree" >"$scratch/output"
}

good()
{
    passes "$1" "$2" || { echo "$1 may include $2, and is refused: $(cat "$scratch/output")"; failed=1; }
}

bad()
{
    ! passes "$1" "$2" || { echo "$1 must not include $2, and is let through"; failed=1; }
}

good lib/base/error.c '"error.h"'
good lib/base/error.c '"base/error.h"'
good lib/pool/map.c '"object/handle.h"'
good lib/pool/map.c '"mpmap/status.h"'
good lib/pool/map.c '<stdio.h>'
good lib/shm/wait.c '<linux/futex.h>'
good lib/net/mpi.c '<mpi.h>'
good lib/data/file.c '<hdf5.h>'
good lib/include/mpmap/pool.h '"status.h"'
good apps/mpmap/main.c '"mpmap.h"'
good apps/mpmap/simulate.c '"pool/lease.h"'
good apps/mpmap/simulate_loop.c '"pool/chunk.h"'

bad lib/base/error.c '"shm/arena.h"'
bad lib/shm/arena.c '"pool/lease.h"'
bad lib/shm/arena.c '<pool/lease.h>'
bad lib/shm/arena.c '"../pool/lease.h"'
bad lib/base/error.c '"missing.h"'
bad lib/pool/map.c '<mpi.h>'
bad lib/pool/map.c '"mpi.h"'
bad lib/pool/map.c '<hdf5.h>'
bad lib/pool/map.c '<linux/futex.h>'
bad lib/extra/more.c '"base/error.h"'
bad lib/include/mpmap/pool.h '<mpi.h>'
bad lib/include/mpmap/pool.h '<hdf5.h>'
bad lib/include/mpmap/pool.h '"base/error.h"'
bad apps/mpmap/main.c '"pool/lease.h"'
bad apps/mpmap/main.c '"../../lib/pool/lease.h"'
bad apps/mpmap/main.c '<mpmap/pool.h>'
bad apps/examples/simulate.c '"pool/lease.h"'
exit $failed
