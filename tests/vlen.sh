#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Results of variable length: texts, bytes and arrays that h5py, netCDF4 and xarray read as such, alone and in a struct, also
# after runs that were killed, drained, damaged or joined, and on several nodes. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py
rows=300

cat >vlen.c <<'C'
#include <stdio.h>
#include "noted.h"

struct several {
    double half;
    mpm_vlen name, list;
    int8_t sign;
    mpm_vlen bytes;
};

const mpm_task_description several_description = {
    .result = "{f64 half, text name, f32[] list, i8 sign, u8[] bytes}",
    .row = "i64",
    .attributes = "list.units = K\nname.description = größer"};

/* The name is from a buffer of its own, which is overwritten; the list is written in its place; the bytes are the item. */
int several(mpm_call *call, const void *item, void *result)
{
    const char *fails = getenv("FAILS");
    struct several *several = result;
    int64_t n = *(const int64_t *)item;
    char name[64];
    void *list;

    if (!noted(call))
        return 1;
    if (mpm_vlen_reserve(call, (size_t)(n % 5) * sizeof(float), &several->list, &list))
        return 1;
    for (int64_t i = 0; i < n % 5; i++)
        ((float *)list)[i] = (float)(n + i);
    if (fails && n % atoi(fails) == 0 && access("mended", F_OK))
        return mpm_fail(call, "row %d is odd", (int)n);
    snprintf(name, sizeof name, "nümber %d", (int)n);
    if (mpm_vlen_put_text(call, n % 7 ? name : "", &several->name))
        return 1;
    memset(name, 'x', sizeof name);
    several->half = (double)n / 2;
    several->sign = (int8_t)(n % 100);
    return mpm_vlen_put(call, item, (size_t)n % 9, &several->bytes);
}

const mpm_task_description name_description = {.result = "text", .row = "i64"};
int name(mpm_call *call, const void *item, void *result)
{
    char text[64];

    snprintf(text, sizeof text, "nümber %d", (int)*(const int64_t *)item);
    return !noted(call) ? 1 : mpm_vlen_put_text(call, text, result);
}

const mpm_task_description list_description = {.result = "f64[]", .row = "i64"};
int list(mpm_call *call, const void *item, void *result)
{
    double numbers[10];
    size_t count = *(const int64_t *)item % 10;

    for (size_t i = 0; i < count; i++)
        numbers[i] = (double)*(const int64_t *)item / (double)(i + 1);
    return mpm_vlen_put(call, numbers, count * sizeof *numbers, result);
}

/* Small ones, then some of 5 MiB. */
const mpm_task_description large_description = {.result = "u8[]", .row = "i64"};
int large(mpm_call *call, const void *item, void *result)
{
    int64_t n = *(const int64_t *)item;
    void *room;

    if (mpm_vlen_reserve(call, n < 280 ? (size_t)n : 5 << 20, result, &room))
        return 1;
    memset(room, (int)n, n < 280 ? (size_t)n : 5 << 20);
    return 0;
}

const mpm_task_description wrong_description = {.result = "{text name, f64[] list}", .row = "i64"};
int wrong(mpm_call *call, const void *item, void *result)
{
    struct { mpm_vlen name, list; } *wrong = result;
    static mpm_vlen kept;
    static char some[16];

    switch (*(const int64_t *)item) {
    case 0:
        return mpm_vlen_put(call, "a\0b", 3, &wrong->name);
    case 1:
        return mpm_vlen_put(call, "ab\xc3", 3, &wrong->name);
    case 2:
        return mpm_vlen_put(call, "\xed\xa0\x80", 3, &wrong->name);
    case 3:
        return mpm_vlen_put(call, some, 12, &wrong->list);
    case 4:
        memset(&wrong->name, 7, sizeof wrong->name);
        return 0;
    case 5:
        return mpm_vlen_put(call, some, (size_t)1 << 40, &wrong->list);
    case 6:
        if (mpm_vlen_put_text(call, "kept", &kept))
            return 1;
        wrong->name = kept;
        return 0;
    default: /* one of another row; what it left itself is nothing */
        wrong->name = kept;
        return 0;
    }
}

const mpm_task_description plain_description = {.result = "i32", .row = "i64"};
int plain(mpm_call *call, const void *item, void *result)
{
    mpm_vlen value;

    (void)item;
    *(int *)result = mpm_vlen_put_text(call, "no", &value);
    return 0;
}
C
make_plugin vlen
/usr/bin/python3 - <<'P' || exit 1
import h5py, numpy as np
with h5py.File("in.h5", "w") as f:
    f["data"], f["image"], f["many"], f["none"] = np.arange(300), np.arange(300).reshape(15, 20), np.arange(200000), np.arange(0)
P
cat >is.py <<'P'
import h5py, numpy as np, sys
fails = int(sys.argv[3]) if len(sys.argv) > 3 else 0
n = np.arange(300)
bad = n % fails == 0 if fails else n < 0
with h5py.File(sys.argv[1]) as f:
    r, done = f[sys.argv[2]], f[sys.argv[2] + ".done"][()]
    assert np.array_equal(done, np.where(bad, 2, 1)), done
    assert np.array_equal(r["half"][()], np.where(bad, 0, n / 2)) and np.array_equal(r["sign"][()], np.where(bad, 0, n % 100))
    name, list_, bytes_ = r["name"].asstr()[()], r["list"][()], r["bytes"][()]
    for i in n:
        assert name[i] == ("" if bad[i] or i % 7 == 0 else f"nümber {i}"), (i, name[i])
        assert np.array_equal(list_[i], [] if bad[i] else i + np.arange(i % 5)), (i, list_[i])
        assert bytes(bytes_[i]) == (b"" if bad[i] else int(i).to_bytes(8, "little")[:i % 9]), (i, bytes_[i])
    assert list_[3].dtype == "f4" and r["list"].attrs["units"] == "K" and r["name"].attrs["description"] == "größer"
P
launcher=(env)
map() # OUT option…
{
    timeout 100 "${launcher[@]}" "$bin/mpmap" map vlen.so:several in.h5:/data "$1:/a/r" --chunk 2 --quiet "${@:2}" >out 2>err </dev/null
}
map_one() { timeout 100 "$bin/mpmap" map "vlen.so:$1" "in.h5:/$2" "$3" "${@:4}" --quiet >out 2>err </dev/null; }
is_right() { /usr/bin/python3 is.py "$1" a/r "${@:2}" >>out 2>&1; }
python_says() { /usr/bin/python3 -c "import h5py, numpy as np, sys
$1" >>out 2>&1; }
says() { grep -qF -- "$1" err; }
fails() { ! "$@"; }
nothing_is_beside() { [ -z "$(find . -name 'out.h5.*')" ]; }

# 1. What they are.
check "several results, three of variable length" map out.h5
check "are right" is_right out.h5
check "and nothing is left beside them" nothing_is_beside
mv out.h5 whole.h5
check "a text is the whole result" map_one name data out.h5:/r
check "h5py reads texts" python_says 'assert list(h5py.File("out.h5")["r"].asstr()) == [f"nümber {i}" for i in range(300)]'
check "an array is the whole result" map_one list data out.h5:/deep/r --overwrite-file
check "h5py reads arrays" python_says 'r = h5py.File("out.h5")["deep/r"]
assert all(np.array_equal(r[i], i / (1 + np.arange(i % 10))) for i in range(300))'
check "a result may be said on the command line" map_one name data out.h5:/r --overwrite-file --result text
check "results replace their like" map_one name data out.h5:/r --overwrite
check "of arrays, too" map whole.h5 --overwrite
if /usr/bin/python3 -c 'import netCDF4, xarray' 2>/dev/null; then
    check "netCDF4 reads them" /usr/bin/python3 -c 'import netCDF4
r = netCDF4.Dataset("whole.h5")["a/r"]
assert r["name"][8] == "nümber 8" and list(r["list"][9]) == [9, 10, 11, 12] and r["list"].units == "K"'
    check "xarray reads them" /usr/bin/python3 -c 'import xarray
r = xarray.open_dataset("whole.h5", group="a/r", engine="netcdf4")
assert r["name"].values[8] == "nümber 8" and list(r["list"].values[9]) == [9, 10, 11, 12]'
fi
/usr/bin/python3 - <<'P'
import h5py, numpy as np
with h5py.File("timed.h5", "w") as f:
    time, data = f.create_dataset("time", data=np.arange(50) * 2.0), f.create_dataset("data", data=np.arange(50))
    time.make_scale("time")
    data.dims[0].attach_scale(time)
P
timeout 60 "$bin/mpmap" map vlen.so:several timed.h5:/data times.h5:/r --quiet >out 2>err
if /usr/bin/python3 -c 'import netCDF4, xarray' 2>/dev/null; then
    check "they have the coordinates of their input" /usr/bin/python3 -c 'import xarray
r = xarray.open_dataset("times.h5", group="r", engine="netcdf4")
assert r["name"].sel(time=16.0).item() == "nümber 8" and list(r["list"].sel(time=18.0).values) == [9, 10, 11, 12]'
fi
check "tiles have a grid of them" map_one list image out.h5:/r --overwrite-file --tile 4,3
check "in its order" python_says 'r, n = h5py.File("out.h5")["r"], np.arange(300).reshape(15, 20)
assert r.shape == (4, 7)
assert all(len(r[i, j]) == n[4 * i, 3 * j] % 10 for i in range(4) for j in range(7))'
check "a data set without rows" map_one list none out.h5:/r --overwrite-file
check "has an empty one of results" python_says 'r = h5py.File("out.h5")["r"]
assert r.shape == (0,) and h5py.check_vlen_dtype(r.dtype) == "f8"'
check "compressed beside others" map out.h5 --overwrite-file --compress gzip
check "they are the same" is_right out.h5
check "of which those of numbers are compressed" python_says 'assert h5py.File("out.h5")["a/r/half"].compression == "gzip"'
# 100 MB of values; what is freed under ASan stays for long.
memory=100M
! grep -q __asan_init "$bin/../lib/libmpmap.so" || memory=2G
rm -f out.h5
check "large values after small ones need no more memory than some of them" map_one large data out.h5:/r --memory $memory --attempts 1
check "and are right" python_says 'r = h5py.File("out.h5")["r"]
assert all(len(r[i]) == (i if i < 280 else 5 << 20) and (r[i] == i % 256).all() for i in range(300))'

# 2. What they are not.
rm -f out.h5
check "values that are none have failed" fails map_one wrong data out.h5:/r --rows :9 --chunk 9 --workers 1
check "with a sentence each" python_says 'f = h5py.File("out.h5")["r.failed"]
want = ["the text name of its result has a null byte at byte 1: such bytes are u8[], not text",
    "the text name of its result has no UTF-8 at byte 2: such bytes are u8[], not text",
    "the text name of its result has no UTF-8 at byte 0: such bytes are u8[], not text",
    "the value list of its result has 12 bytes: f64 has 8",
    "the value name of its result is none that mpm_vlen_put() or mpm_vlen_reserve() has made in this call",
    "a value of variable length has more than 1 GiB",
    None, "the value name of its result is none that mpm_vlen_put() or mpm_vlen_reserve() has made in this call"]
text = dict(zip(f["row"][()], f["text"].asstr()[()]))
assert all((w in text[i]) if w else i not in text for i, w in enumerate(want)), text'
check "and the others are good" python_says 'assert h5py.File("out.h5")["r/name"].asstr()[6] == "kept"'
check "a map without such results has no values" map_one plain data out.h5:/r --overwrite-file --rows :1
check "and says so" python_says 'assert h5py.File("out.h5")["r"][0] == -3 # MPM_ESTATE'
refuses() { local part=$1; shift; rm -f no.h5; ! "$@" && [ "$(wc -l <err)" = 1 ] && says "$part" && [ ! -e no.h5 ] && [ -z "$(ls no.h5.* 2>/dev/null)" ]; }
check "they cannot be stitched" refuses 'results of variable length cannot be stitched' map_one list image no.h5:/r --tile 5,5 --stitch
check "have no fill value" refuses 'rows that fail leave an empty f64[]: --fill is for numbers' map_one list data no.h5:/r --fill nan
check "nor in a struct" refuses 'rows that fail leave an empty name' map no.h5 --fill name=3
check "have one dimension" refuses 'a result of variable length has one dimension' map_one list data no.h5:/r --result 'f32[,3]'
check "the limit of a file's size is said" refuses 'File too large' bash -c 'ulimit -f 2000; timeout 100 "$0" map vlen.so:large in.h5:/data no.h5:/r --rows 290: --quiet 2>err' "$bin/mpmap"

# 3. Killed, damaged, drained, joined.
several=("$bin/mpmap" map vlen.so:several in.h5:/data --chunk 2 --quiet)
killed() # NAME option…: a run that is killed after some rows
{
    rm -rf "$1" "$1".part*
    killed_at 100 "${launcher[@]}" "${several[@]}" "$1:/a/r" "${@:2}"
}
killed out.h5 --workers 3
check "a run that is killed leaves values" [ -n "$(find out.h5.part.values-* -type f)" ]
map out.h5 --resume
check "and is gone on with" says 'going on with the other'
check "to the same file" cmp whole.h5 out.h5
check "few rows run twice ($(calls))" [ "$(calls)" -le 306 ]
check "nothing is left" nothing_is_beside
damaged() # WHAT COMMAND: which gets the largest file of values
{
    killed out.h5 --workers 3
    "${@:2}" "$(find out.h5.part.values-* -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)"
    map out.h5 --resume
    check "$1 is found" says 'rows are marked, but their results are incomplete'
    check "$1: its rows are run again" cmp whole.h5 out.h5
}
flip() { printf 'some other bytes than those that were there' | dd of="$1" bs=1 seek=40 conv=notrunc 2>/dev/null; }
damaged "what has changed in a value" flip
damaged "a file of values that was cut off" truncate -s 30
damaged "a file of values that is gone" rm
killed out.h5
map out.h5 --restart
check "a run starts over" cmp whole.h5 out.h5
check "and removes what was left" nothing_is_beside

# In the last pass.
rm -f out.h5 calls
MPMAP_TEST_MARK=$mark "$bin/mpmap" map vlen.so:list in.h5:/many out.h5:/r --quiet >out 2>err </dev/null &
started=$!
wait_for 60 test -e out.h5.part.last -o -e out.h5
kill -KILL $(tree $started) 2>/dev/null
wait $started 2>/dev/null
wait_for 60 no_process_is_left
check "a run that is killed in the last pass goes on" map_one list many out.h5:/r --resume
check "to all values" python_says 'r = h5py.File("out.h5")["r"]
assert len(r) == 200000 and all(len(r[i]) == i % 10 for i in range(0, 200000, 997))'
check "and leaves nothing" nothing_is_beside

rm -f out.h5*
drained_at 100 "${several[@]}" out.h5:/a/r
check "a drained one ends with 75" [ "$status" = 75 ]
map out.h5 --resume
check "and goes on" cmp whole.h5 out.h5
if command -v mpirun >/dev/null; then
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
    rm -f out.h5
    check "three nodes" map out.h5
    check "make the same file" cmp whole.h5 out.h5
    killed out.h5
    map out.h5 --resume
    check "also when they were killed" cmp whole.h5 out.h5
    launcher=(env)
fi
rm -rf out.h5*
joined 3 out.h5 "${several[@]}" out.h5:/a/r
check "runs that have joined make the same file" cmp whole.h5 out.h5
check "and leave nothing" nothing_is_beside
killed out.h5 --join
check "what one has left that had joined" map out.h5 --join --join-timeout 3
check "another one finishes" cmp whole.h5 out.h5
killed out.h5 --join
check "so does one that is alone" map out.h5 --resume
check "with the same file" cmp whole.h5 out.h5

# 4. Rows that fail.
export FAILS=7
check "rows fail" fails map bad.h5
check "and leave nothing" is_right bad.h5 7
check "it is the same where runs join" fails map joined.h5 --join
check "they leave nothing, too" is_right joined.h5 7
touch mended
rm -f calls
check "rows that have failed in a finished file run again" map bad.h5 --resume --retry-failed
check "and nothing else ($(calls))" [ "$(calls)" = 43 ]
check "all is right then" is_right bad.h5
report
