#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Rows of data sets in one piece are not copied, but seen where the file is in memory: as the very bytes that numpy has,
# wherever in a file and in whichever file they are; where that cannot be, they are copied, and a task cannot tell. A task
# that writes to its item changes no file, and a file that is cut off meanwhile gets a sentence. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(37)
data = random.random((3000, 96)).astype("f4")
def file(name, **how):
    return h5py.File(name, "w", **how)
with file("in.h5") as f:
    f["data"] = data
    f["small"] = np.arange(5)
    f["beside"] = data
    f["foreign"] = data.astype(">f4")
    f["packed"] = f.create_dataset("chunked", data=data, chunks=(100, 96))
    f["doubles"] = random.random((4000, 7))
    f["odd"] = random.integers(0, 255, (30000, 7)).astype("u1")
    f["pairs"] = (random.random((3000, 9)) + 1j).astype("c16")
    table = np.zeros(30000, np.dtype([("a", "i1"), ("x", "f8")], align=True))
    table.view("u1")[:] = 255
    table["a"], table["x"] = 3, random.random(30000)
    f["table"] = table
    f["far"] = h5py.ExternalLink("user.h5", "/data")
with file("user.h5", userblock_size=1024) as f:
    f["data"] = data[::-1].copy()
with file("new.h5", libver="latest") as f:
    f["data"] = data
with file("whole.h5") as f:
    f["data"] = np.zeros((400, 1 << 14), "f8")
P
/usr/bin/python3 made.py || exit 1
cat >task.c <<'C'
#include <mpmap.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "noted.h"
const mpm_task_description structs_description = {.result = "u8[16]", .row = "{i8 a, f64 x}"};
int copy(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}
int structs(mpm_call *call, const void *item, void *result) { return copy(call, item, result); }
const mpm_task_description together_description = {.result = "f32[96]", .row = "f32[96]", .rows = 16};
int together(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_rows(call) * mpm_call_item_size(call));
    return 0;
}
/* Whether the item stands in a mapping of a file *.h5, and how it is aligned: 64, or less. */
int place(mpm_call *call, const void *item, void *result)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int *numbers = result;
    unsigned long begin, end;
    char line[512];

    (void)call;
    numbers[0] = 0;
    numbers[1] = (int)((uintptr_t)item & -(uintptr_t)item & 127);
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx", &begin, &end) == 2 && begin <= (uintptr_t)item && (uintptr_t)item < end)
            numbers[0] = strstr(line, ".h5\n") != NULL;
    }
    if (maps)
        fclose(maps);
    return 0;
}
int scribble(mpm_call *call, const void *item, void *result)
{
    memset((void *)(uintptr_t)item, 7, mpm_call_item_size(call));
    *(char *)result = *(const char *)item;
    return 0;
}
/* Waits for the file to be cut off. */
int waiting(mpm_call *call, const void *item, void *result)
{
    if (!noted_as(call, ".", "0"))
        return 1;
    *(double *)result = *(const double *)item;
    return 0;
}
C
make_plugin task

map() # TASK INPUT RESULT option…
{
    rm -f out.h5 out.h5.part*
    timeout 100 "$bin/mpmap" map "task.so:$1" "$2" out.h5:/r --result "$3" --quiet "${@:4}" >out 2>err </dev/null
}
is() # FILE NUMPY, of d
{
    /usr/bin/python3 -c 'import h5py, numpy as np, sys
with h5py.File("'"$1"'") as f, h5py.File("out.h5") as o:
    sys.exit(np.ascontiguousarray('"$2"').tobytes() != o["r"][()].tobytes() or not (o["r.done"][()] == 1).all())' >>out 2>&1
}
same() # FILE DATASET RESULT NUMPY option…
{
    map copy "$1:/$2" "$3" "${@:5}" && is "$1" "$4"
}
# place YES|NO FILE:DATASET option…: whether all rows are seen, or none is.
seen() # EXPRESSION INPUT option…
{
    local how=$1
    shift
    map place "$1" 'i32[2]' --chunk 1000 "${@:2}" && /usr/bin/python3 -c 'import h5py, sys
r = h5py.File("out.h5")["r"][()]
print(r[:3], r[:, 0].mean())
sys.exit(not ('"$how"'))' >>out 2>&1
}

check "rows" same in.h5 data 'f32[96]' 'f["data"]'
check "are seen" seen 'r[:, 0].all()' in.h5:/data
check "several a call" map together in.h5:/data 'f32[96]' --chunk 1000
check "are the same" is in.h5 'f["data"]'
check "a range" same in.h5 data 'f32[96]' 'f["data"][100:2900]' --rows 100:2900
check "is seen" seen 'r[:, 0].all()' in.h5:/data --rows 100:2900
check "every second row" same in.h5 data 'f32[96]' 'f["data"][::2]' --rows ::2
check "is copied" seen 'not r[:, 0].any()' in.h5:/data --rows ::2
check "another byte order" same in.h5 foreign 'f32[96]' 'f["data"]'
check "is copied, aligned to 64 bytes" seen 'not r[:, 0].any() and (r[0, 1] == 64 or r[0, 1] == 0)' in.h5:/foreign
check "chunks" seen 'not r[:, 0].any()' in.h5:/chunked
check "a file that may change is copied" seen 'not r[:, 0].any()' in.h5:/data --no-lock
check "rows that stand at an odd place are copied, to 64 bytes" seen 'not r[:, 0].any() and r[0, 1] in (0, 64)' in.h5:/beside
check "doubles" same in.h5 doubles 'f64[7]' 'f["doubles"]'
check "rows of 7 bytes" same in.h5 odd 'u8[7]' 'f["odd"]'
check "complex numbers" same in.h5 pairs 'f64[9,2]' 'f["pairs"]'
check "a file with a user block" same user.h5 data 'f32[96]' 'f["data"]'
check "is seen, too" seen 'r[:, 0].all()' user.h5:/data
check "the latest format" same new.h5 data 'f32[96]' 'f["data"]'
check "a link into another file" same in.h5 far 'f32[96]' 'f["far"]'
check "is seen there" seen 'r[:, 0].all()' in.h5:/far
check "structs" map structs in.h5:/table 'u8[16]'
check "are as they are in the file" is in.h5 'f["table"]'

cp in.h5 before.h5
check "a task that writes to its items" map scribble in.h5:/data u8 --chunk 1000
check "changes no file" cmp before.h5 in.h5

# cut_off CHUNK: its rows are seen, or copied, in chunks of so many.
cut_off()
{
    rm -f calls go_on
    cp whole.h5 cut.h5
    map waiting cut.h5:/data f64 --workers 2 --chunk "$1" --block-rows 4 --attempts 1 &
    run=$!
    wait_for 60 test -e calls
    truncate -s 20M cut.h5
    touch go_on
    wait $run
    [ $? = 1 ] && grep -qE '(truncated file|has changed since the map began): .* of 400 rows are good' err
}
check "a file that is cut off ends the map, where its rows are seen" cut_off 4
check "and where they are copied" cut_off 1
report
