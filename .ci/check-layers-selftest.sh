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
    mkdir -p "$scratch/tree/lib/include/mpmap" "$scratch/tree/lib/base" "$scratch/tree/apps/support" \
        "$scratch/tree/$(dirname "$file")"
    touch "$scratch/tree/lib/include/mpmap/status.h" "$scratch/tree/apps/support/command.h"
    echo "/* For all of lib/. */" >"$scratch/tree/lib/base/error.h"
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
good lib/pool/driver/map.c '"object/handle.h"'
good lib/pool/driver/map.c '"mpmap/status.h"'
good lib/pool/driver/map.c '<stdio.h>'
good lib/pool/driver/map.c '"pool/driver/lease.h"'
good lib/pool/driver/map.c '"pool/shared/board.h"'
good lib/pool/node/reaper.c '"pool/worker/worker.h"'
good lib/data/rows.c '"pool/shared/batch.h"'
good lib/shm/wait.c '<linux/futex.h>'
good lib/net/mpi.c '<mpi.h>'
good lib/data/file.c '<hdf5.h>'
good lib/include/mpmap/pool.h '"status.h"'
good apps/mpmap/main.c '"mpmap.h"'
good apps/tally/main.c '"support/command.h"'
good apps/mpmap/simulate.c '"pool/driver/lease.h"'
good apps/mpmap/simulate_loop.c '"pool/worker/chunk.h"'

bad lib/base/error.c '"shm/arena.h"'
bad lib/shm/arena.c '"pool/driver/lease.h"'
bad lib/shm/arena.c '<pool/driver/lease.h>'
bad lib/shm/arena.c '"../pool/driver/lease.h"'
bad lib/base/error.c '"missing.h"'
bad lib/pool/driver/map.c '<mpi.h>'
bad lib/pool/driver/map.c '"mpi.h"'
bad lib/pool/driver/map.c '<hdf5.h>'
bad lib/pool/driver/map.c '<linux/futex.h>'
bad lib/pool/node/node_pool.c '"pool/driver/map.h"'
bad lib/pool/worker/worker.c '"pool/node/node_pool.h"'
bad lib/pool/shared/pool_registry.c '"pool/worker/worker.h"'
bad lib/pool/driver/map.c '"pool/elsewhere.h"'
bad lib/pool/elsewhere.c '<stdio.h>'
bad lib/extra/more.c '"base/error.h"'
bad lib/include/mpmap/pool.h '<mpi.h>'
bad lib/include/mpmap/pool.h '<hdf5.h>'
bad lib/include/mpmap/pool.h '"base/error.h"'
bad apps/mpmap/main.c '"pool/driver/lease.h"'
bad apps/mpmap/main.c '"../../lib/pool/driver/lease.h"'
bad apps/mpmap/main.c '<mpmap/pool.h>'
bad apps/tally/main.c '"mpmap/command.h"'
bad apps/tally/main.c '"support/missing.h"'
bad apps/examples/simulate.c '"pool/driver/lease.h"'

# Makes a tree of these files, each given as path=text, and says whether the check passes.
tree_passes()
{
    rm -rf "${scratch:?}/tree"
    for file in "$@"; do
        mkdir -p "$(dirname "$scratch/tree/${file%%=*}")"
        printf '%b\n' "${file#*=}" >"$scratch/tree/${file%%=*}"
    done
    "$here/check-layers.sh" "$scratch/tree" >"$scratch/output"
}

good_tree()
{
    tree_passes "$@" || { echo "this tree is right, and is refused: $* ($(cat "$scratch/output"))"; failed=1; }
}

# The first argument is in what the check says.
bad_tree()
{
    local expected=$1

    shift
    if tree_passes "$@"; then
        echo "this tree is let through: $*"
    elif ! grep -q "$expected" "$scratch/output"; then
        echo "of this tree it is not said that \"$expected\": $* ($(cat "$scratch/output"))"
    else
        return
    fi
    failed=1
}

# Circles.
one='lib/shm/one.h=/* For shm/. */'
two='lib/shm/two.h=/* For shm/. */'
good_tree "$one" "$two" 'lib/shm/one.c=#include "shm/one.h"\n#include "shm/two.h"' 'lib/shm/two.c=#include "shm/two.h"'
good_tree "$one" 'lib/shm/one_inside.h=/* For shm/one.c. */\n#include "shm/one.h"' \
    'lib/shm/one.c=#include "shm/one_inside.h"'
bad_tree 'in a circle' "$one" "$two" 'lib/shm/one.c=#include "shm/two.h"' 'lib/shm/two.c=#include "shm/one.h"'
bad_tree 'in a circle' "$one\n#include \"shm/two.h\"" "$two\n#include \"shm/three.h\"" \
    'lib/shm/three.h=/* For shm/. */' 'lib/shm/three.c=#include "shm/one.h"'

# Readers.
reads='#include "shm/one.h"'
named='/* What it is. For shm/two.c, shm/th*.c and net/. */'
good_tree "lib/shm/one.h=$named" "lib/shm/two.c=$reads" "lib/shm/three.c=$reads" "lib/net/four.c=$reads" \
    "lib/shm/one.c=$reads"
good_tree 'lib/shm/one.h=/* For shm/ and the\n * layers above it. */' "lib/net/four.c=$reads"
good_tree 'lib/shm/one.h=/* For shm/ and its tests. */' "lib/shm/two.c=$reads" "tests/one_test.c=$reads"
bad_tree 'does not say who includes it' 'lib/shm/one.h=/* What it is. */' "lib/shm/two.c=$reads"
bad_tree 'does not say who includes it' 'lib/shm/one.h=/* What it is. */\n#define ONE\n/* For shm/. */' \
    "lib/shm/two.c=$reads"
bad_tree 'this is none of them' "lib/shm/one.h=$named" "lib/shm/two.c=$reads" "lib/shm/three.c=$reads" \
    "lib/net/four.c=$reads" "lib/shm/five.c=$reads"
bad_tree 'this is none of them' 'lib/shm/one.h=/* For net/. */' "lib/net/four.c=$reads" "lib/pool/five.c=$reads"
bad_tree 'names shm/two.c' "lib/shm/one.h=$named" "lib/shm/three.c=$reads" "lib/net/four.c=$reads"
bad_tree 'names tests/' 'lib/shm/one.h=/* For shm/ and its tests. */' "lib/shm/two.c=$reads"
bad_tree 'names net/' "lib/shm/one.h=$named" "lib/shm/two.c=$reads" "lib/shm/three.c=$reads"

# Constructors.
good_tree 'lib/shm/thread_token.c=static __attribute__((constructor)) void at_fork(void)'
bad_tree 'a constructor' 'lib/shm/thread_token.c=static __attribute__((constructor)) void announce(void)'
bad_tree 'a constructor' 'lib/sync/lock.c=static __attribute__((constructor)) void at_fork(void)'
exit $failed
