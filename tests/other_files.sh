#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A node that sees other files than main at the same paths, as on machines with disks of their own: its input, or the
# folder of the output, is another one. A map must end before any node works on any row, and name what differs. A node
# that is slow to open the files holds all others, but not for ever.
# Needs root, for a mount that one rank alone sees. Last line: "N passed, N failed".
set -u

. "$(dirname "$0")/support/data_sets.sh"
if ! unshare -m true 2>/dev/null; then
    echo "skipped, because mounting needs root"
    exit 0
fi
if ! command -v mpirun >/dev/null; then
    echo "skipped, because there is no mpirun"
    exit 0
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 \
    OMPI_MCA_hwloc_base_binding_policy=none MPMAP_RANKS_PER_NODE=1
rows=300
nap=0.0005 # how long each row takes: what it is, and its result

# make_rows FILE VALUE COUNT: a data set of rows of one number each.
make_rows()
{
    yes "$2" | head -n "$3" >numbers.txt
    text_set "$1" /data TEXTFP 32 "$3"
}

# With the last of some nodes behind a mount: see NODES OF THERE, then map IN OUT.
see()
{
    local nodes=$1 of=$2 there=$3
    shift 3
    rm -f results/* began.*
    map=("$bin/mpmap" map "$test_plugins/napping.so:nap" in.h5:/data results/out.h5:/r --chunk 1 --block-rows 1 --quiet
        "$@")
    timeout 100 mpirun -n $((nodes - 1)) "${map[@]}" : \
        -n 1 unshare -m bash -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' bash "$there" "$of" "${map[@]}" >out 2>err
    status=$?
}

fails_with() { [[ $status -ne 0 ]] && grep -qF -- "$1" err; }
# Each row says by a byte that it has begun: napping.c.
rows_begun() { cat began.* 2>/dev/null | wc -c; }
has_every_row()
{
    [[ $(values results/out.h5 /r | tr , '\n' | sort | uniq -c | tr -s ' ') == " $rows $nap" ]] &&
        [[ $(rows_begun) -eq $rows ]]
}
is_right() { [[ $status -eq 0 ]] && has_every_row; }
# is_refused WHAT WORDS: it has failed with those, and no node has begun a row.
is_refused()
{
    check "$1 is found" fails_with "$2"
    check "$1: no row is begun anywhere" test "$(rows_begun)" = 0
    check "$1: no output is made" test ! -e results/out.h5
}

mkdir results other
make_rows in.h5 $nap $rows
cp -p in.h5 same.h5
make_rows longer.h5 $nap $((rows + 1))
make_rows others.h5 0.0007 $rows
touch -r in.h5 others.h5
cp in.h5 later.h5
touch -d '2001-09-09 01:46:40Z' later.h5

see 2 in.h5 same.h5
check "a copy is the same input" is_right
see 2 in.h5 later.h5 --no-lock
check "one of another time is, if it may change" is_right
see 2 in.h5 others.h5
is_refused "an input with other values" ': its bytes add up to '
see 2 in.h5 later.h5
is_refused "an input of another time" 'last changed 2001-09-09 01:46:40Z, not '
for nodes in 2 4; do
    on="$nodes nodes: "
    see $nodes in.h5 longer.h5
    is_refused "${on}an input with more rows" "in.h5 is not the same file on node $((nodes - 1)) ("
    check "${on}how many each has is said" fails_with "$((rows + 1)) x f32, not $rows x f32"
    rm -f other/*
    see $nodes results other
    is_refused "${on}an output that is not shared" 'must be on a file system that all nodes share'
    # The part that another run has left there, of the same size.
    dd if=/dev/zero of=other/out.h5.part bs=1k count=100 2>/dev/null
    see $nodes results other
    is_refused "${on}an old output of the same name" 'results/out.h5.part is a different file on this node'
    check "${on}and it is not written into" cmp -s other/out.h5.part <(head -c 102400 /dev/zero)
done

# hold: as see, on two nodes, the second of which does not get its input opened until there is a file "go_on".
hold()
{
    rm -f results/* began.* opening go_on
    map=("$bin/mpmap" map "$test_plugins/napping.so:nap" in.h5:/data results/out.h5:/r --chunk 1 --quiet)
    timeout 100 mpirun -n 1 "${map[@]}" : -n 1 env LD_PRELOAD="$(dirname "$test_plugins")/held_open.so" HELD_OPEN=in.h5 \
        ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" "${map[@]}" >out 2>err &
    run=$!
    check "$1: the node opens its input" wait_for 60 test -s opening
}
# let_go: it goes on, and the map to its end.
let_go()
{
    touch go_on
    wait $run
    status=$?
}

hold "a node that is slow"
check "a node that is slow holds all others" test "$(rows_begun)" = 0
let_go
check "then every row is right" is_right

hold "a worker that dies as it opens the input"
worker=$(cat opening)
rm opening
kill -KILL "$worker"
check "another one opens it" wait_for 60 test -s opening
check "and no row is begun before" test "$(rows_begun)" = 0
let_go
check "then every row is right" is_right

hold "a node that loses its host meanwhile"
kill -KILL "$(awk '$1 == "PPid:" { print $2 }' "/proc/$(cat opening)/status")"
wait $run
check "the others do every row" has_every_row

MPMAP_NODE_TIMEOUT=2 hold "a node that hangs"
wait $run
status=$?
is_refused "a node that hangs" ' has not opened input and output for 16 s'
touch go_on
report
