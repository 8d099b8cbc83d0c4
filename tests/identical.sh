#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The same map gives the same bytes, whatever the number of workers, ranks and nodes, and whatever the chunks.
bin=${1:-$MPMAP_BIN}
plugins=${MPMAP_PLUGINS:-$(dirname "$bin")/plugins}
rows=20000 columns=50
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "${2:-$MPMAP_SOURCE}/tests/support/check.sh"
show() { cat ./*.out; }

# Numbers whose sums depend on the order in which they are added.
make_input()
{
    awk -v rows=$rows -v columns=$columns 'BEGIN {
        for (i = 0; i < rows; i++) {
            for (j = 0; j < columns; j++) printf "%.7g ", sin(i * 7919 + j) * 10 ^ ((i + j) % 7)
            print ""
        }
    }' >rows.txt
    printf 'PATH data\nINPUT-CLASS TEXTFP\nRANK 2\nDIMENSION-SIZES %d %d\nOUTPUT-CLASS FP\nOUTPUT-SIZE 32\n' \
        $rows $columns >rows.cfg
    h5import rows.txt -c rows.cfg -o in.h5 >/dev/null
}

# map_to NAME command before mpmap…: the raw bytes of the results, and of their marks, in NAME.
map_to()
{
    local name=$1
    shift
    "$@" "$bin/mpmap" map "$plugins/mean.so:mean" in.h5:/data "$name.h5:/mean" --quiet ${chunk:+--chunk "$chunk"} \
        >"$name.out" 2>&1 && h5dump -d /mean -b LE -o "$name.raw" "$name.h5" >/dev/null &&
        h5dump -d /mean.done -b LE -o "$name.done" "$name.h5" >/dev/null && cat "$name.done" >>"$name.raw"
}

compare() # NAME command before mpmap…
{
    map_to "$@" && cmp -s solo.raw "$1.raw"
    count "$*: the bytes of a run of one worker" $?
}

make_input && map_to solo env || { echo "FAILED: no result to compare with"; cat solo.out; exit 1; }
[ "$(stat -c %s solo.raw)" = $((rows * 9)) ] || { echo "FAILED: the result has another size"; exit 1; }
for chunk in '' 1 777; do
    compare "alone$chunk" env
    for ranks in 1 2 4; do
        compare "r$ranks-$chunk" mpirun -n $ranks
        compare "n$ranks-$chunk" env MPMAP_RANKS_PER_NODE=1 mpirun -n $ranks
    done
done
report
