#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps over several data sets side by side: an item is a struct of a row of each, numpy's to the byte, at home, on three
# nodes, after a kill, of several files, and in reductions. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py
cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(29)
def put(f, rows):
    f.create_dataset("images", data=random.integers(0, 256, (rows, 5, 3)).astype("u1"), chunks=(40, 5, 2), compression="gzip")
    f["label"] = random.integers(0, 9, rows).astype(">i4")
    f["weight"] = random.random(rows)
    f["flags"] = random.integers(0, 2, (rows, 3)).astype("u1")
    table = np.zeros(rows, [("x", "f4"), ("y", "i2")])
    table["x"], table["y"] = random.random(rows), random.integers(-9, 9, rows)
    f["group/table"] = table
with h5py.File("in.h5", "w") as f:
    put(f, 1500)
    f["short"] = np.zeros(1499)
    f["text"] = ["a"] * 1500
    f["mask"] = random.random(1500) < 0.3
for k in range(3):
    with h5py.File(f"run{k}.h5", "w") as f:
        put(f, 100 + k)
P
/usr/bin/python3 made.py || exit 1
cat >zip.c <<'C'
#include "noted.h"
#include <string.h>
int copy(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return noted(call) ? 0 : -1;
}
struct sample { unsigned char image[5][3]; int label; double weight; unsigned char flags[3]; float x; };
const mpm_task_description sample_description = {.result = "f64[5]", .row = "{u8[5,3] image, i32 label, f64 weight, u8[3] flags, f32 x}"};
int sample(mpm_call *call, const void *item, void *result)
{
    const struct sample *sample = item;
    const double numbers[] = {sample->image[4][2], sample->label, sample->weight, sample->flags[1], sample->x};

    if (mpm_call_item_size(call) != sizeof *sample)
        return 1;
    memcpy(result, numbers, sizeof numbers);
    return 0;
}
struct two { double weight; int label; };
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    *(double *)state += *(const double *)later;
}
const mpm_task_description dot_description = {.result = "f64", .row = "{f64 weight, i32 label}"};
const mpm_reduction dot_reduction = {.combine = combine, .state_size = sizeof(double)};
int dot(mpm_call *call, const void *item, void *state)
{
    (void)call;
    *(double *)state += ((const struct two *)item)->weight * ((const struct two *)item)->label;
    return 0;
}
C
make_plugin zip
cat >zipped.py <<'P'
import h5py, numpy as np, sys
KIND = np.dtype([("image", "u1", (5, 3)), ("label", "i4"), ("weight", "f8"), ("flags", "u1", (3,)), ("x", "f4")], align=True)
def rows(f):
    out = np.zeros(len(f["label"]), KIND)
    out["image"], out["label"], out["weight"], out["flags"] = (f[n][()] for n in ("images", "label", "weight", "flags"))
    out["x"] = f["group/table"]["x"]
    return out
P
names=/images,/label,/weight,/flags,/group/table.x
map()
{
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "zip.so:$@" --quiet >out 2>err </dev/null
}
# is NUMPY: the bytes of results; f is the input.
is()
{
    /usr/bin/python3 -c 'from zipped import *
with h5py.File("in.h5") as f, h5py.File("out.h5") as o:
    want, have = '"$1"', o["r"][()]
    print(want.dtype, len(want), have.shape)
    sys.exit(not (want.tobytes() == have.tobytes() and (o["r.done"][()] == 1).all()))' >>out 2>&1
}
size=$(/usr/bin/python3 -c 'from zipped import *; print(KIND.itemsize)')
check "five data sets" map copy "in.h5:$names" out.h5:/r --result "u8[$size]"
check "are structs, aligned, with zeros between" is 'rows(f)'
check "in small blocks, as well" map copy "in.h5:$names" out.h5:/r --result "u8[$size]" --block-rows 7 --chunk 30
check "with the same bytes" is 'rows(f)'
check "a plugin says the struct" map sample "in.h5:$names" out.h5:/r
numbers='np.column_stack([r["image"][:, 4, 2], r["label"], r["weight"], r["flags"][:, 1], r["x"]]).astype("f8")'
check "and has its fields" is "(lambda r: $numbers)(rows(f))"
check "some of the rows" map sample "in.h5:$names" out.h5:/r --rows 100:900:7
check "are these" is "(lambda r: $numbers)(rows(f)[100:900:7])"
check "a mask" map sample "in.h5:$names" out.h5:/r --rows :/mask
check "holds for all of them" is "(lambda r: $numbers)(rows(f)[f['mask'][()]])"
check "a condition, too" map sample "in.h5:$names" out.h5:/r --where '/label > 4 and /group/table.y < 0'
check "of a field" is "(lambda r: $numbers)(rows(f)[(f['label'][()] > 4) & (f['group/table']['y'] < 0)])"
check "several files" map sample "run*.h5:$names" out.h5:/r
check "are one after the other" is "(lambda r: $numbers)(np.concatenate([rows(h5py.File(f'run{k}.h5')) for k in range(3)]))"
if command -v mpirun >/dev/null; then
    rm -f out.h5
    check "three nodes" env MPMAP_RANKS_PER_NODE=1 timeout 100 mpirun -n 3 "$bin/mpmap" map zip.so:sample "in.h5:$names" out.h5:/r --quiet
    check "have the same" is "(lambda r: $numbers)(rows(f))"
fi
rm -f out.h5
killed_at 100 "$bin/mpmap" map zip.so:copy "in.h5:$names" out.h5:/r --result "u8[$size]" --chunk 10 --quiet
rm calls
check "a map that is killed goes on" timeout 100 "$bin/mpmap" map zip.so:copy "in.h5:$names" out.h5:/r --result "u8[$size]" --quiet --resume
check "with what it had" test "$(calls)" -lt 1500
check "to the same" is 'rows(f)'
dot()
{
    timeout 100 "$bin/mpmap" reduce zip.so:dot in.h5:/weight,/label --quiet >sum.txt 2>err </dev/null &&
        /usr/bin/python3 -c 'import h5py
f = h5py.File("in.h5")
want, have = float((f["weight"][()] * f["label"][()]).sum()), float(open("sum.txt").read())
assert abs(want - have) < 1e-9 * abs(want), (want, have)' >out 2>&1
}
check "a reduction of two" dot
refuses()
{
    local part=$1
    shift
    ! map "$@" && [[ $(wc -l <err) -eq 1 ]] && grep -qF -- "$part" err
}
check "another number of rows is refused" refuses 'in.h5:/short has 1499 rows, but /label has 1500: data sets that are read side by side have as many rows' \
    copy in.h5:/label,/short out.h5:/r --result 'u8[16]'
check "one that there is not" refuses 'in.h5 has no data set /none' copy in.h5:/label,/none out.h5:/r --result 'u8[16]'
check "tiles" refuses 'neither tiles nor another axis go with that' copy in.h5:/label,/weight out.h5:/r --result 'u8[16]' --tile 2
for wrong in /label,/weight,/flags /images,/weight,/label,/flags,/group/table.x "$names,/label"; do
    check "another struct: $wrong" refuses 'where the row is to be {u8[5,3] image, i32 label,' sample "in.h5:$wrong" out.h5:/r
done
check "which says what they are" grep -qF 'has rows of {u8[5,3] images, i32 label, f64 weight, u8[3] flags, f32 table.x, i32 label}' err
report
