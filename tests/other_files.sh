#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A node that sees other files than main at the same paths, as on machines with disks of their own: its input, or the
# folder of the output, is another one. A map must end before that node works on a row, and name what differs; rows that
# others have worked on by then are right. Needs root, for a mount that one rank alone sees. Last line: "N passed, N failed".
set -u

bin=${1:-${MPMAP_BIN:?says where the programs are}}
plugins=${MPMAP_PLUGINS:-$bin/../plugins}
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
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0
failed=0

# check NAME COMMAND…: one that must succeed.
check() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $name"
        sed 's/^/    /' said
        failed=$((failed + 1))
    fi
}

# rows FILE VALUE COUNT: a data set of rows of one number each.
rows() {
    yes "$2" | head -n "$3" >numbers.txt
    printf '%s\n' 'PATH /data' 'INPUT-CLASS TEXTFP' 'INPUT-SIZE 32' 'RANK 2' "DIMENSION-SIZES $3 1" >set.conf
    h5import numbers.txt -c set.conf -o "$1" >/dev/null || exit 1
}

# With the second of two nodes behind a mount: see OF THERE, then map IN OUT.
see() {
    local of=$1 there=$2
    shift 2
    rm -f out/*
    map=("$bin/mpmap" map "$plugins/mean.so:mean" in.h5:/data out/out.h5:/mean --chunk 1 --block-rows 1 --quiet "$@")
    timeout 100 mpirun -n 1 "${map[@]}" : -n 1 unshare -m bash -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' \
        bash "$there" "$of" "${map[@]}" >said 2>&1
    status=$?
}

fails_with() { [[ $status -ne 0 ]] && grep -qF -- "$1" said; }
is_right() {
    [[ $status -eq 0 ]] && h5dump -y -o dumped.txt -d /mean out/out.h5 >/dev/null &&
        [[ $(tr -d ' \n' <dumped.txt | tr , '\n' | sort | uniq -c | tr -s ' ') == " 2000 1" ]]
}

mkdir out other
rows in.h5 1 2000
cp -p in.h5 same.h5
rows longer.h5 1 2001
rows others.h5 7 2000
touch -r in.h5 others.h5
cp in.h5 later.h5
touch -d '2001-09-09 01:46:40Z' later.h5

see in.h5 same.h5
check 'a copy is the same input' is_right
see in.h5 longer.h5
check 'rows that are more are found' fails_with 'in.h5 is another file on node 1 ('
check 'and how many each has' fails_with '2001 x f32[1], not 2000 x f32[1]'
check 'no output is made' test ! -e out/out.h5
see in.h5 others.h5
check 'other values are found' fails_with ': its bytes add up to '
see in.h5 later.h5
check 'another time is found' fails_with 'last changed 2001-09-09 01:46:40Z, not '
see in.h5 later.h5 --no-lock
check 'unless the input may change' is_right
see out other
check 'an output that is not shared is found' fails_with 'every node must see '
# The part that another run has left there, of the same size.
dd if=/dev/zero of=other/out.h5.part bs=1k count=100 2>/dev/null
see out other
check 'an old output of the same name is found' fails_with 'out/out.h5.part: what stands there is another file'
check 'and is not written into' cmp -s other/out.h5.part <(head -c 102400 /dev/zero)

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
