#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A single call, or an item of a map, costs its worker, and the host of that worker dies at some point of its work on it:
# whichever that is, it is done by a worker of another host, nobody else is blamed, and no memory is lost. A run of 8
# hosts searches 7 points; runs go on until none of their hosts comes so far. Arguments: folder of mpmap, folder of the sources.
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
program=$(dirname "$bin")/tests/dying_forkservers
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
hosts=8

ended_well() { [ "$status" = 0 ] && ! grep -q wrong "$work/out"; }

for way in crash hang map; do
    points=0 died=1
    for ((point = 1; died > 0 && point < 500; point += hosts - 1)); do
        keep_books
        MPMAP_TEST_MARK=$mark timeout -k 2 200 mpirun -n "$hosts" "$program" "$way" "$point" >"$work/out" 2>"$work/err"
        status=$?
        check "$way, a host dies at point $point, the next at the one after it: all ends well" ended_well
        check "$way, from point $point on: nothing is left" wait_for 60 nothing_is_left
        died=$(tail -n 1 "$work/out")
        points=$((points + died))
    done
    echo "$way: $points points searched"
    check "$way: a host's work on a death was searched to its end" [ "$points" -ge 20 -a "$died" = 0 ]
done
report
