#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap reduce on files that h5py has made: the bits are those that Python computes in the documented tree, whatever the
# workers and nodes; a row that crashes costs itself; and what is called wrongly is refused before a worker starts.
# Last line: "N passed, N failed".
set -uo pipefail

bin=$(realpath "${1:-${MPMAP_BIN:?}}")
plugins=${MPMAP_PLUGINS:-$(dirname "$bin")/plugins}
if ! /usr/bin/python3 -c 'import h5py' 2>/dev/null; then
    echo "skipped, because python3 has no h5py"
    exit 0
fi
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"

# reduce COMMAND… -- ARGUMENT…: mpmap reduce behind the command; sets $status.
reduce()
{
    local before=()
    while [ "$1" != -- ]; do
        before+=("$1")
        shift
    done
    shift
    timeout 100 "${before[@]}" "$bin/mpmap" reduce "$@" --quiet >out 2>err </dev/null
    status=$?
}

prints() { [ "$status" -eq 0 ] && [ "$(cat out)" = "$1" ]; }
fails_with() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }

cat >made.py <<'P'
import h5py, math, numpy
rows, leaf = 10001, 4
numbers = numpy.exp(numpy.random.default_rng(13).uniform(-30, 30, (rows, 2)))
numbers[1::2] = -numbers[:-1:2] * (1 + 1e-9)
with h5py.File("in.h5", "w") as file:
    file.create_dataset("data", data=numbers.astype(">f8"), chunks=(333, 2), compression="gzip", shuffle=True)
    file["none"] = numbers[:0]
    file["narrow"] = numbers.astype("f4")
states = []
for first in range(0, rows, leaf):
    total = 0.0
    for row in numbers[first:first + leaf]:
        for number in row:
            total += float(number)
    states.append(total)
while len(states) > 1:
    states = [sum(states[i:i + 2], 0.0) if i + 1 < len(states) else states[i] for i in range(0, len(states), 2)]
print("%.17g %d" % (states[0], rows))
P
wanted=$(/usr/bin/python3 made.py)
cat >sum.c <<'C'
#include <mpmap.h>
#include <stdlib.h>

struct sum {
    double sum, rows;
};

static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    ((struct sum *)state)->sum += ((const struct sum *)later)->sum;
    ((struct sum *)state)->rows += ((const struct sum *)later)->rows;
}

const mpm_task_description sum_description = {.result = "f64[2]", .row = "f64[2]"};
const mpm_reduction sum_reduction = {.combine = combine, .state_size = sizeof(struct sum)};
int sum(mpm_call *call, const void *item, void *state)
{
    (void)call;
    ((struct sum *)state)->sum += ((const double *)item)[0];
    ((struct sum *)state)->sum += ((const double *)item)[1];
    ((struct sum *)state)->rows++;
    return 0;
}

const mpm_task_description crash_description = {.result = "f64[2]"};
const mpm_reduction crash_reduction = {.combine = combine, .state_size = sizeof(struct sum)};
int crash(mpm_call *call, const void *item, void *state)
{
    if (mpm_call_index(call) == 77)
        abort();
    return sum(call, item, state);
}

const mpm_task_description small_description = {.result = "f64[9]"};
const mpm_reduction small_reduction = {.combine = combine, .state_size = sizeof(struct sum)};
int small(mpm_call *call, const void *item, void *state) { return sum(call, item, state); }

const int odd_reduction = 1;
int odd(mpm_call *call, const void *item, void *state) { return sum(call, item, state); }
int bare(mpm_call *call, const void *item, void *state) { return sum(call, item, state); }
C
cc -shared -fPIC -I"${MPMAP_SOURCE:?}/lib/include" -o sum.so sum.c || exit 1

for workers in 1 2 5; do
    reduce -- ./sum.so:sum in.h5:/data --workers $workers
    check "with $workers workers the bits are Python's" prints "$wanted"
done
if command -v mpirun >/dev/null; then
    for nodes in 2 3; do
        reduce env MPMAP_RANKS_PER_NODE=1 mpirun -n $nodes -- ./sum.so:sum in.h5:/data
        check "over $nodes nodes the bits are Python's" prints "$wanted"
    done
fi

reduce -- ./sum.so:sum in.h5:/data out.h5:/group/sum
check "a data set of the result is written" [ "$status" -eq 0 ]
written=$(/usr/bin/python3 -c 'import h5py; print("%.17g %d" % tuple(h5py.File("out.h5")["group/sum"][()]))')
check "it has the same bits" [ "$written" = "$wanted" ]
check "nothing is left beside it" [ ! -e out.h5.part ]
reduce -- ./sum.so:sum in.h5:/data out.h5:/r
check "a file that exists is not replaced" fails_with 1 "'out.h5' exists; --overwrite-file replaces it"
reduce -- ./sum.so:sum in.h5:/data out.h5:/r --overwrite-file
check "unless that is wanted" [ "$status" -eq 0 ]
reduce -- ./sum.so:sum in.h5:/data in.h5:/r --overwrite-file
check "the input is never replaced" fails_with 1 "is the input"

reduce -- ./sum.so:sum in.h5:/none
check "no rows have the state of none" prints "0 0"
reduce -- ./sum.so:crash in.h5:/data
check "a row that crashes is reported" fails_with 1 "1 of 10001 items failed; the first is item 77: its worker was killed by SIGABRT"
check "and the result is that of the others" grep -q ' 10000$' out

reduce -- "$plugins/summary.so:summary" in.h5:/data out.h5:/r --overwrite-file
check "a summary is numpy's" /usr/bin/python3 -c '
import h5py, numpy
numbers = h5py.File("in.h5")["data"][()]
expected = [numbers.size, numbers.mean(), numbers.std(), numbers.min(), numbers.max()]
assert numpy.allclose(h5py.File("out.h5")["r"][()], expected, rtol=1e-9, atol=1e-12 * numbers.std()), expected'

reduce -- ./sum.so:sum in.h5:/narrow
check "rows of another type are refused" fails_with 1 "sum takes rows of f64[2], but those of 'in.h5:/narrow' are f32[2]"
reduce -- ./sum.so:bare in.h5:/data
check "a plugin must have the reduction" fails_with 1 "has no variable bare_reduction of type mpm_reduction"
reduce -- ./sum.so:odd in.h5:/data
check "of the right size" fails_with 1 "odd_reduction of './sum.so' is not an mpm_reduction of this mpmap: it has 4 bytes"
reduce -- ./sum.so:small in.h5:/data
check "a result must be in the state" fails_with 1 "a result of f64[9] has 72 bytes, but the state of small_reduction has 16"
reduce -- ./sum.so:sum
check "two words are needed" fails_with 2 "1 of 2 or 3 arguments are given"

report
