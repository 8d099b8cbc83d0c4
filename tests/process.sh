#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Processes from outside: their lines come whole however they end, stdin is main's, mpm_finalize waits for those that
# main has not joined, on all nodes, and for no daemon, and when main dies none of them is left, nor anything that they
# have started, though they are another user's, and it has detached itself. Arguments: folder of programs, folder of
# sources.
set -uo pipefail

bin=${1:-${MPMAP_BIN:?}}
program=$(dirname "$bin")/tests/processes
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "${2:-${MPMAP_SOURCE:?}}/tests/support/processes.sh"

# launch RANKS RANKS-PER-NODE argument…: RANKS 0 is without a launcher. With a command in `into`, all ranks run
# in that.
into=()
launch()
{
    local ranks=$1 per_node=$2
    shift 2
    if [ "$ranks" = 0 ]; then
        timeout -k 2 200 "${into[@]}" "$program" "$@"
    else
        MPMAP_RANKS_PER_NODE=$per_node timeout -k 2 200 mpirun -n "$ranks" "${into[@]}" "$program" "$@"
    fi
}

prints() { [ "$status" -eq 0 ] && [ "$(cat "$work/out")" = "$1" ]; }
prints_sorted() { [ "$status" -eq 0 ] && cmp -s <(sort "$work/out" | grep .) "$1"; }

# The lines of eight writers, sorted.
for ((writer = 0; writer < 8; writer++)); do
    for ((i = 0; i < 200; i++)); do
        echo "writer $writer writes line $i of its lines, which are long enough to be cut somewhere in between" \
            "by the lines of another one"
    done
    echo "writer $writer is done"
done | sort >"$work/lines"

# read_by COUNT: what `stdin` prints.
read_by()
{
    for ((i = 0; i < $1; i++)); do echo 0; done
    echo 2999 lines
}

# worked COUNT: what `finalize` prints.
worked()
{
    for ((i = 0; i < $1; i++)); do echo worked; done
    echo over
}

for ranks in "0 9" "2 9" "2 1" "4 1"; do
    read -r ranks per_node <<<"$ranks"
    nodes=$((per_node == 1 ? ranks : 1))
    title="$ranks ranks on $nodes nodes"

    # All ranks append to one file: Open MPI's launcher forwards blocks of 4 KiB, and cuts lines itself. What
    # does not end in a newline may stand before another process's line.
    : >"$work/raw"
    into=(bash -c 'exec "${@:2}" >>"$1"' append "$work/raw")
    launch "$ranks" "$per_node" lines 200
    status=$?
    into=()
    sed 's/\(writer [0-9] is done\)/\n\1\n/g' "$work/raw" >"$work/out"
    check "$title: all lines are whole" prints_sorted "$work/lines"

    launch "$ranks" "$per_node" finalize >"$work/out"
    status=$?
    check "$title: mpm_finalize waits for processes, and for no daemon" prints "$(worked $((nodes * nodes)))"

    launch "$ranks" "$per_node" pool >"$work/out"
    status=$?
    check "$title: mpm_finalize waits for the processes of workers" prints "$(worked 10)"

    seq 3000 | launch "$ranks" "$per_node" stdin >"$work/out"
    status=$?
    check "$title: processes leave stdin to main" prints "$(read_by "$nodes")"

    seq 3000 >"$work/numbers"
    launch "$ranks" "$per_node" stdin <"$work/numbers" >"$work/out"
    status=$?
    check "$title: processes leave a file that is stdin to main" prints "$(read_by "$nodes")"

    for how in join get any; do
        keep_books
        MPMAP_TEST_MARK=$mark launch "$ranks" "$per_node" exits "$how" >"$work/out" 2>"$work/err"
        check "$title: exit while a thread waits in $how ends the run" [ $? -eq 3 ]
        check "$title: nothing is left after exit while a thread waits in $how" wait_for 60 nothing_is_left
    done

    : >"$work/out"
    launch "$ranks" "$per_node" forever >"$work/out" 2>"$work/err" &
    started=$!
    check "$title: processes run" wait_for 60 is_running
    mapfile -t pids < <(grep -v running "$work/out")
    check "$title: there are pids" [ "${#pids[@]}" -eq $((6 * nodes + 1)) ]
    check "$title: they are alive" kill -0 "${pids[@]}"
    kill -KILL "${pids[0]}"
    check "$title: none is left when main was killed" wait_for 60 none_left "${pids[@]}"
    wait "$started" 2>/dev/null
done
report
