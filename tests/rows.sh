#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps and reductions over some rows of a data set: a range, a list, a mask, or by their values, in files that h5py has made. The results are
# numpy's of the same choice, also when the map was killed and goes on, and a map of another choice does not go on with it.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(11)
with h5py.File("in.h5", "w") as f:
    data = random.random((1000, 3)).astype("f4")
    f["plain"] = data
    f.create_dataset("packed", data=data, chunks=(64, 2), compression="gzip")
    f["quality"] = random.integers(0, 4, 1000).astype("i1")
    weight = random.random(1000)
    weight[::7] = np.nan
    weight[500] = 0.1
    f.create_dataset("weight", data=weight, chunks=(50,), compression="gzip")
    f["large"] = np.arange(1000, dtype="u8") + np.uint64((1 << 64) - 1000)
    table = np.zeros(1000, [("flux", "f4"), ("in", [("n", "i2")]), ("v", "f4", (2,))])
    table["flux"] = random.random(1000)
    table["in"]["n"] = random.integers(-5, 5, 1000)
    table["flux"][300:303] = 0.1
    f["table"] = table
    f["list"] = random.integers(0, 1000, 300).astype("u2")
    f["sorted"] = np.sort(random.choice(1000, 400, replace=False))
    f["mask"] = random.random(1000) < 0.3
    f["none"] = np.zeros(1000, bool)
    f["short"] = np.ones(999, bool)
    f["beyond"] = np.array([3, 1000])
    f["negative"] = np.array([3, -1])
    f["floats"] = np.zeros(3)
    f["pairs"] = np.zeros((3, 2), "i4")
P
/usr/bin/python3 made.py || exit 1
task=$plugins/mean.so:mean

# is_mean SET CHOICE: out.h5 has the means of the rows of SET that numpy chooses.
is_mean()
{
    /usr/bin/python3 -c 'import h5py, numpy as np, sys
with h5py.File("in.h5") as f, h5py.File("out.h5") as o:
    d = f["'"$1"'"][()].astype("f8")['"$2"']
    r = o["r"][()]
    sys.exit(not (r.shape == (len(d),) and np.array_equal(r, ((d[:, 0] + d[:, 1]) + d[:, 2]) / 3) and
                  (o["r.done"][()] == 1).all()))' >out 2>&1
}
# chosen SET CHOICE ARGUMENT…: a map with the arguments gives the means of these rows.
chosen()
{
    local set=$1 choice=$2
    shift 2
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "$task" "in.h5:/$set" out.h5:/r --quiet "$@" >out 2>err </dev/null && is_mean "$set" "$choice"
}
# refused STATUS PART ARGUMENT…
refused()
{
    local wanted=$1 part=$2 status
    shift 2
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "$task" in.h5:/plain out.h5:/r --quiet "$@" >out 2>err </dev/null
    status=$?
    [[ $status -eq $wanted && $(wc -l <err) -eq 1 && $(cat err) == "mpmap: $part"* && ! -e out.h5 && ! -e out.h5.part ]]
}

for set in plain packed; do
    check "$set: a range" chosen $set 100:200 --rows 100:200
    check "$set: with a step" chosen $set 5:900:7 --rows 5:900:7
    check "$set: in small blocks" chosen $set 5:900:7 --rows 5:900:7 --block-rows 10 --chunk 33
    check "$set: from the end" chosen $set -100: --rows=-100:
    check "$set: to some before the end" chosen $set ':-1:2' --rows :-1:2
    check "$set: all" chosen $set ':' --rows :
    check "$set: a list, in its order" chosen $set 'f["list"][()]' --rows :/list
    check "$set: a list that rises" chosen $set 'f["sorted"][()]' --rows in.h5:/sorted --block-rows 7
    check "$set: a mask" chosen $set 'f["mask"][()]' --rows :/mask
    check "$set: a mask of none" chosen $set 'f["none"][()]' --rows :/none
done
# Rows by their values.
check "another data set" chosen plain 'f["quality"][()] == 2' --where '/quality == 2'
check "two of them" chosen packed '(f["quality"][()] <= 2) & (f["weight"][()] > 0.25)' --where '/quality<=2 and /weight > 0.25'
check "what is no number is in no comparison but !=" chosen plain 'f["weight"][()] != 0.5' --where '/weight != .5'
check "a float is equal to what it is written as" chosen plain 'f["weight"][()] == 0.1' --where '/weight == 0.1'
check "integers of 64 bits are compared to the last" chosen plain 'f["large"][()] >= np.uint64(18446744073709551606)' \
    --where '/large >= 18446744073709551606'
check "of a range only" chosen plain '100:900:3][f["quality"][100:900:3] < 1' --rows 100:900:3 --where '/quality < 1'
check "of a list, in its order" chosen plain 'f["list"][()]][f["quality"][()][f["list"][()]] > 1' --rows :/list --where '/quality > 1'
check "costs may stand in a field" chosen plain ':' --cost :/table.flux
check "or in a field of one" refused 1 'in.h5:/table.in.n has a bad cost: row ' --cost :/table.in.n
two_numbers()
{
    timeout 100 "$bin/mpmap" map first.so:first "in.h5:/$1" out.h5:/r --overwrite-file --quiet --where "$2" >out 2>err </dev/null &&
        /usr/bin/python3 -c 'import h5py, numpy as np, sys
f, o = h5py.File("in.h5"), h5py.File("out.h5")
d = f["'"${1%%.*}"'"][()]
sys.exit(o["r"][()].tobytes() != d["flux"]['"$3"'].tobytes())' >out 2>&1
}
cat >first.c <<'C'
#include <mpmap.h>
#include <string.h>
const mpm_task_description first_description = {.result = "f32", .row = "{f32 flux}"};
int first(mpm_call *call, const void *item, void *result) { (void)call; memcpy(result, item, 4); return 0; }
C
cc -O1 -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o first.so first.c || exit 1
check "a field, and one in it" two_numbers table 'flux > 0.5 and in.n <= -1' '(d["flux"] > 0.5) & (d["in"]["n"] <= -1)'
check "a small float, too" two_numbers table 'flux == 0.1' 'd["flux"] == np.float32(0.1)'
check "a field, a data set, and a field" two_numbers table 'flux > 0.1 and /quality == 3 and flux < 6e-1' \
    '(d["flux"] > 0.1) & (f["quality"][()] == 3) & (d["flux"] < 0.6)'
check "a condition that holds for none is refused" refused 1 "--where '/quality > 9' holds for no row of 'in.h5:/plain'" --where '/quality > 9'
check "one without a number" refused 1 'the condition "/quality > x" cannot be read at "x"' --where '/quality > x'
check "one that ends" refused 1 'the condition "/quality >" cannot be read at ""' --where '/quality >'
check "one with another word" refused 1 'the condition "/quality > 1 or /quality < 0" cannot be read at "or ' --where '/quality > 1 or /quality < 0'
check "several numbers a row" refused 1 'in.h5:/plain has rows of f32[3]: only one number a row can be compared (row)' --where 'row > 1'
check "another number of rows" refused 1 'in.h5:/short has 999 rows to compare, but there are 1000 rows to choose from' --where '/short > 0'
check "a data set that there is not" refused 1 'in.h5 has no data set /none_such' --where '/none_such > 0'
check "a condition on tiles" refused 1 'a condition chooses rows along the first axis' --where '/quality > 0' --tile 5

check "a step that is larger than all takes one" chosen plain 3:900:2000 --rows 3:900:2000

# Two nodes have the list each.
two_nodes()
{
    local launcher=()
    ! command -v mpirun >/dev/null || launcher=(mpirun --oversubscribe -n 2)
    rm -f out.h5
    MPMAP_RANKS_PER_NODE=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 100 "${launcher[@]}" \
        "$bin/mpmap" map "$task" in.h5:/packed out.h5:/r --quiet --rows :/list --chunk 5 >out 2>err </dev/null
}
check "two nodes take a list" two_nodes
check "which is that of one" is_mean packed 'f["list"][()]'

check "a range beyond the end is refused" refused 1 "--rows 1:1001: 'in.h5:/plain' has 1000 rows" --rows 1:1001
check "one before the start, too" refused 1 "--rows -1001:: 'in.h5:/plain' has 1000 rows" --rows=-1001:
check "one of no rows" refused 1 "--rows 5:5 chooses none of the 1000 rows of 'in.h5:/plain'" --rows 5:5
check "a step of nothing" refused 2 "--rows is '1:2:0', but must be A:B, A:B:STEP" --rows 1:2:0
check "a single number" refused 2 "--rows is '7', but must be A:B, A:B:STEP" --rows 7
check "four of them" refused 2 "--rows is '1:2:3:4', but must be " --rows 1:2:3:4
check "a list of rows that there are not" refused 1 'row 1000 is chosen, but in.h5:/plain has 1000 rows' --rows :/beyond
check "negative ones" refused 1 'in.h5:/negative chooses row -1, at place 1: ' --rows :/negative
check "a mask of another length" refused 1 'the mask of rows has 999 values, but in.h5:/plain has 1000 rows' --rows :/short
check "floats" refused 1 'in.h5:/floats has rows of f64: a choice of rows must be one boolean or integer for each' --rows :/floats
check "pairs" refused 1 'in.h5:/pairs has rows of i32[2]: a choice of rows must be ' --rows :/pairs

# A map that ends in the middle, and goes on. The rows from 500 on fail at first.
cat >late.c <<'C'
#include <mpmap.h>
#include <stdlib.h>
#include <unistd.h>
const mpm_task_description late_description = {.result = "f64", .row = "f32"};
int late(mpm_call *call, const void *item, void *result)
{
    const float *row = item;

    if (access("go", F_OK) && mpm_call_index(call) >= 20)
        return 1;
    *(double *)result = ((double)row[0] + row[1] + row[2]) / 3;
    return 0;
}
C
cc -O1 -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o late.so late.c || exit 1
going_on()
{
    timeout 100 "$bin/mpmap" map late.so:late in.h5:/plain out.h5:/r --quiet --workers 1 --chunk 1 --block-rows 1 "$@" \
        >out 2>err </dev/null
}
for choice in 0:400:2 :/list; do
    rm -f out.h5 out.h5.part go
    going_on --rows "$choice" --max-failures 5
    check "a map of $choice stops in the middle" test -e out.h5.part
    touch go
    going_on --rows 1:401:2 --resume
    check "one of other rows does not go on with it" grep -q 'belongs to another map: the ' err
    going_on --resume
    check "nor does one of all" grep -q "belongs to another map: the " err
    going_on --rows "$choice" --resume --retry-failed
    check "the same one does" grep -q 'going on with the other' err
    if [[ $choice == :/list ]]; then choice='f["list"][()]'; fi
    check "with the right rows" is_mean plain "$choice"
done

cat >sum.c <<'C'
#include <mpmap.h>
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    *(double *)state += *(const double *)later;
}
const mpm_task_description sum_description = {.result = "f64", .row = "f32"};
const mpm_reduction sum_reduction = {.combine = combine, .state_size = sizeof(double)};
int sum(mpm_call *call, const void *item, void *state)
{
    (void)call;
    *(double *)state += *(const float *)item;
    return 0;
}
C
cc -O1 -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o sum.so sum.c || exit 1
# sums CHOICE ARGUMENT…
sums()
{
    local choice=$1
    shift
    timeout 100 "$bin/mpmap" reduce sum.so:sum in.h5:/packed --quiet "$@" >sum.txt 2>err </dev/null &&
        /usr/bin/python3 -c 'import h5py, sys
f = h5py.File("in.h5")
have, want = float(open("sum.txt").read()), f["packed"][()].astype("f8")[:, 0]['"$choice"'].sum()
sys.exit(bool(abs(have - want) > 1e-9 * want))' >out 2>&1
}
check "a reduction of a range" sums 10:800:3 --rows 10:800:3
check "of a list" sums 'f["list"][()]' --rows :/list
check "of a mask" sums 'f["mask"][()]' --rows :/mask
check "by a condition" sums '(f["weight"][()] < 0.1) & (f["quality"][()] != 0)' --where '/weight < 0.1 and /quality != 0'
report
