#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The examples print what they promise, however they are launched, and so does the Python in the comment at the head of
# each. Arguments: the folder of the programs, and that of the sources.
set -uo pipefail

bin=${1:-${MPMAP_BIN:?}}/examples
sources=${2:-${MPMAP_SOURCE:?}}/apps/examples
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
unset PYTHONUNBUFFERED # with it lines of several processes are not whole
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"

is_exactly() { [ "$1" = "$wanted" ]; }
is_sorted() { [ "$(sort <<<"$1")" = "$(sort <<<"$wanted")" ]; }

show() { printf '%s\n' "status ${status-}; printed: ${out-}" "should: ${wanted-}" "errors: $(cat "$work/err")"; }

# An example by itself has nothing to complain of; mpirun may.
is_quiet() { [[ "$*" == *mpirun* ]] || [ ! -s "$work/err" ]; }

# prints ORDER COMMAND…: the command succeeds, and what it prints is $wanted, in an order that is right.
prints()
{
    local order=$1 out status
    shift
    out=$(timeout 200 "$@" 2>"$work/err" </dev/null)
    status=$?
    [ "$status" -ne 0 ] || { "$order" "$out" && is_quiet "$@"; } || status=1
    count "$*" "$status"
}

# The Python of an example: the indented lines of its first comment.
python_of()
{
    sed -n '/^#include/q; s/^ \*     //p; s/^ \*$//p' "$sources/$1.c"
}

python_prints()
{
    if ! command -v python3 >/dev/null; then
        echo "the Python of $2: skipped, because there is no python3"
        return
    fi
    python_of "$2" >"$work/$2.py"
    prints "$1" python3 "$work/$2.py"
}

# example NAME [ORDER [ORDER_OF_MPIRUN]]: it prints $wanted, without a launcher and over two nodes. mpirun reads what each
# rank prints by itself, so lines of several processes may come in another order there.
example()
{
    prints "${2:-is_exactly}" "$bin/$1"
    prints "${3:-${2:-is_exactly}}" env MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/$1"
}

# Two processes run side by side: each pair of their lines may come either way round.
is_by_pairs()
{
    [ "$(sed -n 1,2p <<<"$1" | sort)" = "$(printf 'Worker %s started.\n' A B)" ] &&
        [ "$(sed -n '3,$p' <<<"$1" | sort)" = "$(sed -n '3,$p' <<<"$wanted" | sort)" ] &&
        [ "$(sed -n 5p <<<"$1")" = 'Both workers finished.' ]
}

is_by_worker()
{
    local name
    for name in A B; do
        [ "$(grep "^Worker $name " <<<"$1")" = "$(printf "Worker $name %s.\n" started finished)" ] || return
    done
    is_sorted "$1"
}

# The producer and the consumer print each in its order.
is_by_side()
{
    [ "$(grep adding <<<"$1")" = "$(grep adding <<<"$wanted")" ] &&
        [ "$(grep received <<<"$1")" = "$(grep received <<<"$wanted")" ] && is_sorted "$1"
}

wanted='Worker A started.
Worker B started.
Worker A finished.
Worker B finished.
Both workers finished.'
example 01_process is_by_pairs is_by_worker
prints is_by_pairs mpirun -n 1 "$bin/01_process"
python_prints is_by_worker 01_process

wanted=$(printf 'Producer adding %d to queue\n' 0 1 2 3 4 && printf 'Consumer received %d\n' 0 1 2 3 4)
example 02_queue is_by_side
python_prints is_by_side 02_queue

# Python's loses additions: it is not looked at.
wanted='Final value: 400000'
example 03_value
prints is_exactly mpirun -n 2 "$bin/03_value"

wanted='Squared numbers: [1, 4, 9, 16, 25]'
example 04_pool
for ranks in 1 2 4; do
    prints is_exactly mpirun -n "$ranks" "$bin/04_pool"
done
prints is_exactly env MPMAP_RANKS_PER_NODE=1 mpirun -n 4 "$bin/04_pool"
python_prints is_exactly 04_pool

wanted='3 squared is 9
4 squared is 16
5 squared is 25'
example 05_pipe
python_prints is_exactly 05_pipe

wanted='22044 primes from 0 to 249999
19494 primes from 250000 to 499999
18700 primes from 500000 to 749999
18260 primes from 750000 to 999999
78498 primes below 1000000, the largest is 999983'
example 06_sync
python_prints is_exactly 06_sync

wanted='A has sent 2
B has sent 3
5 messages'
example 07_wait_any is_sorted
python_prints is_sorted 07_wait_any

wanted='Squared numbers: [1, 4, 9, 16, 25]
Six squared: 36'
example 08_async
python_prints is_exactly 08_async

wanted='Result: 1
Result: 4
Result: 9
Result: 16
Result: 25'
example 15_first_results is_sorted
python_prints is_sorted 15_first_results

wanted='Most steps to 1 below 100000: 350, from 77031'
example 09_stream
python_prints is_exactly 09_stream

wanted='a pam fo stxet'
example 10_texts
python_prints is_exactly 10_texts

wanted='Mean 499.995, standard deviation 288.675'
example 16_reduce
python_prints is_exactly 16_reduce

wanted='1 squared: 1
2 squared: 4
3 squared: 9
4 squared: 16'
example 18_dictionary
python_prints is_exactly 18_dictionary

wanted='frame 0: 8294400 pixels, the last is 255
frame 1: 8294400 pixels, the last is 254
frame 2: 8294400 pixels, the last is 253
frame 3: 8294400 pixels, the last is 252'
example 19_messages

wanted='After 400 steps: top 93.196, middle 17.200, bottom 0.487'
prints is_exactly "$bin/17_stencil"
prints is_exactly mpirun -n 2 "$bin/17_stencil"
python_prints is_exactly 17_stencil

wanted='Results: [100, 0, 25, 0, 20]
Item 1 failed after 1 runs: 0 cannot be inverted
Item 3 failed after 2 runs: its worker was killed by SIGABRT (2 attempts)'
example 11_failures
wanted='integer division or modulo by zero'
python_prints is_exactly 11_failures

wanted='[2.0, 3.0, 9.0]'
example 12_initializer
python_prints is_exactly 12_initializer

# A data set of 1000 rows of four numbers.
if command -v h5import >/dev/null; then
    seq 1 4000 >"$work/numbers"
    printf '%s\n' 'PATH /data' 'INPUT-CLASS TEXTFP' 'INPUT-SIZE 32' 'RANK 2' 'DIMENSION-SIZES 1000 4' >"$work/shape"
    (cd "$work" && h5import numbers -c shape -o input.h5)
    wanted='1000 means'
    prints is_exactly "$bin/13_dataset" "$work/input.h5" "$work/one.h5"
    prints is_exactly env MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/13_dataset" "$work/input.h5" "$work/two.h5"
    if python3 -c 'import h5py' 2>/dev/null; then
        python_of 13_dataset >"$work/13_dataset.py"
        prints is_exactly python3 "$work/13_dataset.py" "$work/input.h5" "$work/python.h5"
    else
        echo "the Python of 13_dataset: skipped, because python3 has no h5py"
    fi
    wanted=
    prints is_exactly h5diff "$work/one.h5" "$work/two.h5" /mean
else
    echo "13_dataset: skipped, because there is no h5import: install hdf5-tools"
fi

wanted='Sum of squares, known to rank 1: 165'
prints is_exactly mpirun -n 2 "$bin/14_own_mpi"
prints is_exactly env MPMAP_RANKS_PER_NODE=1 mpirun -n 3 "$bin/14_own_mpi"
if python3 -c 'import mpi4py' 2>/dev/null; then
    python_of 14_own_mpi >"$work/14_own_mpi.py"
    prints is_exactly mpirun -n 2 python3 "$work/14_own_mpi.py"
else
    echo "the Python of 14_own_mpi: skipped, because python3 has no mpi4py"
fi

# An example that is not named above is not tested.
for file in "$sources"/*.c; do
    grep -q "$(basename "$file" .c)" "${BASH_SOURCE[0]}" ||
        count "something here runs $(basename "$file")" 1
done

report
