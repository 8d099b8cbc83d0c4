#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a map writes beside plain results: several results of one row, the fill value of rows that fail, attributes. They are
# numpy's, and h5py, netCDF4 and xarray read them by their names; also after runs that were killed, drained or joined.
# Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
. "$(dirname "$0")/support/step_deaths.sh"
needs_h5py
rows=300

cat >several.c <<'C'
#include "noted.h"

struct several {
    double mean;
    uint8_t thumb[3][2];
    int32_t count;
    float half[2];
    int8_t sign;
};

const mpm_task_description several_description = {
    .result = "{f64 mean, u8[3, 2] thumb, i32 count; f32[2] half, i8 sign}",
    .row = "f32",
    .attributes = "title = several results\nmean.units = K\nmean.long_name = mean = sum / count\n"
                  "thumb.description = größer"};

/* Fills the struct with rubbish first: what stands between fields must not matter. */
int several(mpm_call *call, const void *item, void *result)
{
    const char *fails = getenv("FAILS");
    const float *row = item;
    struct several *several = result;

    if (!noted(call))
        return 1;
    for (size_t i = 0; i < sizeof *several; i++)
        ((unsigned char *)result)[i] = (unsigned char)rand();
    if (fails && (int)row[0] % atoi(fails) == 0 && access("mended", F_OK))
        return mpm_fail(call, "row %g is odd", (double)row[0]);
    several->mean = ((double)row[0] + row[1]) / 2;
    for (int i = 0; i < 6; i++)
        several->thumb[i / 2][i % 2] = (uint8_t)((int)row[0] + i);
    several->count = -(int32_t)row[0];
    several->half[0] = row[0] / 2;
    several->half[1] = row[1] / 2;
    several->sign = (int8_t)((int)row[0] % 100);
    return 0;
}
C
make_plugin several
/usr/bin/python3 -c "
import h5py, numpy as np
with h5py.File('in.h5', 'w') as f:
    f['data'] = np.stack([np.arange(1, $rows + 1), np.arange($rows) * 3], axis=1).astype('f4')" || exit 1

cat >right.py <<'P'
# right.py FILE GROUP [FAILS FILL…]: all results are numpy's. Rows that FAILS divides have failed, and hold FILL.
import h5py, numpy as np, sys
name, group = sys.argv[1:3]
fails = int(sys.argv[3]) if len(sys.argv) > 3 else 0
d = h5py.File("in.h5")["data"][()].astype("f8")
a, b = d[:, 0], d[:, 1]
n = a.astype(int)
want = {"mean": (a + b) / 2, "count": (-n).astype("i4"), "sign": (n % 100).astype("i1"),
        "thumb": ((n[:, None] + np.arange(6)).astype("u1")).reshape(-1, 3, 2), "half": (d / 2).astype("f4")}
bad = (n % fails == 0) if fails else np.zeros(len(n), bool)
fill = dict(word.split("=") for word in sys.argv[4:])
with h5py.File(name) as f:
    g = f[group]
    for field, values in want.items():
        values = values.copy()
        values[bad] = np.array(float(fill.get(field, "0"))).astype(values.dtype)
        r = g[field]
        assert r.dtype == values.dtype and r.shape == values.shape, (field, r)
        assert np.array_equal(r[()], values, equal_nan=values.dtype.kind == "f"), (field, r[()], values)
        if fill:
            assert np.array_equal(r.fillvalue, values.dtype.type(float(fill.get(field, "0"))), equal_nan=True), r.fillvalue
    assert set(k for k in g if k in want) == set(want)
    assert np.array_equal(f[group + ".done"][()], np.where(bad, 2, 1))
P
is_right() { /usr/bin/python3 right.py "$@"; }
map() # OUT.h5 option…
{
    local out=$1
    shift
    "${launcher[@]}" "$bin/mpmap" map several.so:several in.h5:/data "$out:/a/results" --chunk 2 --workers 3 --quiet "$@" \
        >out 2>err </dev/null
    status=$?
}
says() { grep -qF -- "$1" err; }
status_is() { [ "$status" = "$1" ]; }
launcher=(env)

# 1. Several results.
map whole.h5
check "several results of one pass" status_is 0
check "are numpy's" is_right whole.h5 a/results
map blocks.h5 --block-rows 7 --chunk 20
check "whatever the blocks" cmp whole.h5 blocks.h5
launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
command -v mpirun >/dev/null || launcher=(env)
map nodes.h5
check "and the nodes" cmp whole.h5 nodes.h5
launcher=(env)
cat >look.py <<'P'
import h5py, netCDF4, xarray
with h5py.File("whole.h5") as f:
    g = f["a/results"]
    assert f.attrs["mpmap_result"] == "/a/results"
    assert g.attrs["title"] == "several results" and g.attrs["task"] == "several"
    assert g.attrs["result_shape"] == "{f64 mean, u8[3,2] thumb, i32 count, f32[2] half, i8 sign}"
    assert dict(g["mean"].attrs) == {"units": "K", "long_name": "mean = sum / count"}, dict(g["mean"].attrs)
    assert dict(g["thumb"].attrs) == {"description": "größer"} and not dict(g["count"].attrs)
with netCDF4.Dataset("whole.h5") as f:
    g = f["a/results"]
    assert g["mean"].units == "K" and g["thumb"].shape == (300, 3, 2) and g.title == "several results"
with xarray.open_dataset("whole.h5", group="a/results") as x:
    assert set(x) == {"mean", "thumb", "count", "half", "sign"} and x["mean"].attrs["units"] == "K"
    assert float(x["mean"][1]) == 2.5
P
if /usr/bin/python3 -c 'import netCDF4, xarray' 2>/dev/null; then
    check "h5py, netCDF4 and xarray find them by their names" /usr/bin/python3 look.py
else
    skip "names in netCDF4 and xarray" "they are not installed"
fi
check "a finished one has a status" grep -q '^whole.h5: 300 of 300 rows are good, 0 failed, 0 left; complete$' \
    <("$bin/mpmap" status whole.h5)
map whole.h5 --resume
check "a finished one is left as it is" says 'whole.h5 is finished: it has all 300 rows'
cp whole.h5 old.h5
map old.h5 --overwrite
check "it may be overwritten" cmp whole.h5 old.h5
/usr/bin/python3 -c "
import h5py
with h5py.File('old.h5', 'a') as f: f['a/results/mine'] = 1"
map old.h5 --overwrite
check "but not if something else is in the group" says 'old.h5 also holds /a/results/mine, which would be lost'
map old.h5 --overwrite-file
check "unless that is wanted" cmp whole.h5 old.h5

# 2. Killed, drained, joined.
several=("$bin/mpmap" map several.so:several in.h5:/data --chunk 2 --quiet)
killed() # NAME option…: a run that is killed after some rows
{
    rm -f "$1" "$1".part*
    killed_at 100 "${several[@]}" "$1:/a/results" --workers 3 "${@:2}"
}
killed out.h5
map out.h5 --resume
check "a map goes on that was killed" says 'going on with the other'
check "with the same file" cmp whole.h5 out.h5
check "and few rows run twice ($(calls))" [ "$(calls)" -le 306 ]
launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
command -v mpirun >/dev/null || launcher=(env)
killed out.h5
map out.h5 --resume
check "on three nodes, too" cmp whole.h5 out.h5
launcher=(env)
killed out.h5
# A byte of a result in the middle of what is there.
/usr/bin/python3 - <<'P'
import h5py
with h5py.File("out.h5.part", "r") as f:
    done = f["a/results.done"][()]
    row = [i for i in range(300) if done[i] == 1][5]
    at = f["a/results/half"].id.get_offset() + row * 8 + 3
with open("out.h5.part", "r+b") as f:
    f.seek(at); byte = f.read(1); f.seek(at); f.write(bytes([byte[0] ^ 1]))
P
map out.h5 --resume
check "a byte that has changed in one of the results is found" says 'rows are marked, but their results are incomplete'
check "and its row run again" cmp whole.h5 out.h5
killed out.h5
map out.h5 --resume --result '{f64 mean, u8[3,2] thumb, i32 count, f32[2] half, i8 signs}'
check "another struct does not go on with it" says "the result's type and shape was {f64 mean, u8[3,2] thumb, i32 count"
rm -f out.h5*
joined 3 out.h5 "${several[@]}" out.h5:/a/results
check "three runs that have joined make the same file" cmp whole.h5 out.h5
rm -f out.h5*
drained_at 100 "${several[@]}" out.h5:/a/results
check "a drained one ends with 75" [ "$status" = 75 ]
map out.h5 --resume
check "and goes on" cmp whole.h5 out.h5

# 3. Rows that fail, and the fill value.
export FAILS=7
map bad.h5
check "rows that fail leave zeros" is_right bad.h5 a/results 7
rm -f bad.h5
map bad.h5 --fill 'mean=nan, count=-1,thumb = 0xff'
check "or the fill value of the user's choice" is_right bad.h5 a/results 7 mean=nan count=-1 thumb=255
launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
command -v mpirun >/dev/null || launcher=(env)
rm -f bad.h5
map bad.h5 --fill 'mean=nan,count=-1,thumb=255'
check "on three nodes, too" is_right bad.h5 a/results 7 mean=nan count=-1 thumb=255
launcher=(env)
rm -f bad.h5
map bad.h5 --join --fill 'mean=nan,count=-1,thumb=255'
check "and where runs join" is_right bad.h5 a/results 7 mean=nan count=-1 thumb=255
killed bad.h5 --fill 7
map bad.h5 --resume --fill 8
check "another fill value does not go on with it" says 'filled with 7 and is '
map bad.h5 --resume --fill 7
check "the same one does" is_right bad.h5 a/results 7 mean=7 count=7 thumb=7 half=7 sign=7
touch mended
map bad.h5 --resume --retry-failed --fill 7
check "rows that failed are run again in a finished file" is_right bad.h5 a/results
check "which ends well" status_is 0
rm mended
unset FAILS
wrong() # STATUS PART option…
{
    rm -f none.h5
    map none.h5 "${@:3}"
    [ "$status" = "$1" ] && says "$2" && [ ! -e none.h5 ] && [ ! -e none.h5.part ]
}
check "a fill value that does not fit" wrong 1 'the fill value nan is none for thumb, results of u8' --fill nan
check "one of a field that is not there" wrong 1 'the fill value men=1 is of a field that the result does not have' --fill men=1
check "no number at all" wrong 1 'the fill value two is none for count, results of i32' --fill count=two
check "one too large" wrong 1 'the fill value 128 is none for sign' --fill sign=128
for struct in '{f64 mean' '{f64}' '{f64 a, f64 a}' '{f64 a/b}' '{}' '{{f64 a} b}' '{f64 a} b'; do
    check "no struct: $struct" wrong 1 'the result "' --result "$struct"
done

# 4. Rows that failed are listed in the file.
cat >listed.py <<'P'
# listed.py FILE FAILS ATTEMPTS [CAUSE TEXT]
import h5py, netCDF4, sys
name, fails, attempts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cause, text = (sys.argv[4:] + ["task", ""])[:2]
rows = [i for i in range(300) if (i + 1) % fails == 0]
with h5py.File(name) as f:
    g = f["a/results.failed"]
    assert g.attrs["count"] == len(rows), dict(g.attrs)
    assert list(g["row"]) == rows, list(g["row"])
    assert list(g["cause"].asstr()) == [cause] * len(rows), list(g["cause"].asstr())
    assert list(g["attempts"]) == [attempts] * len(rows), list(g["attempts"])
    said = list(g["text"].asstr())
    assert said == [text or f"row {i + 1} is odd" for i in rows], said
with netCDF4.Dataset(name) as f:
    assert f["a/results.failed"]["text"][0] == said[0]
P
is_listed() { /usr/bin/python3 listed.py "$@"; }
export FAILS=7
rm -f bad.h5
map bad.h5
check "rows that failed are listed in the file" is_listed bad.h5 7 1
check "the first ones are told" says 'the first is item 6: row 7 is odd'
check "each on a line" grep -q '^ *row 13: row 14 is odd$' err
check "with a word on where all are" says 'and 37 more; all 42 in bad.h5:/a/results.failed'
rm -f bad.h5
launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
command -v mpirun >/dev/null || launcher=(env)
map bad.h5
check "also those of three nodes" is_listed bad.h5 7 1
launcher=(env)
killed bad.h5
map bad.h5 --resume
check "and those of a run that was killed" is_listed bad.h5 7 1
killed bad.h5 --join
map bad.h5 --join --join-timeout 3
check "or had joined" is_listed bad.h5 7 1
check "with what they leave" is_right bad.h5 a/results 7
killed bad.h5 --join
map bad.h5 --resume
check "and is gone on with by one alone" is_listed bad.h5 7 1
map bad.h5 --overwrite
check "a file with such a list may be overwritten" is_listed bad.h5 7 1
touch mended
map bad.h5 --resume --retry-failed
check "once no row has failed, there is no list" cmp bad.h5 whole.h5
rm mended
unset FAILS
nothing_beside() { [ -z "$(ls -d "$1".part* 2>/dev/null)" ]; }
check "nothing is left beside them" nothing_beside bad.h5

# 5. Compressed.
cat >packed.py <<'P'
# packed.py FILE GROUP FILTER ROWS: how the results are stored.
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    for name, d in f[sys.argv[2]].items():
        assert d.compression == (sys.argv[3] if sys.argv[3] != "none" else None), (name, d.compression)
        assert d.shuffle == (d.dtype.itemsize > 1), name
        assert d.chunks[0] == int(sys.argv[4]) and d.chunks[1:] == d.shape[1:], d.chunks
    if len(sys.argv) > 5:
        assert f[sys.argv[2]]["mean"].compression_opts == int(sys.argv[5])
P
is_packed() { /usr/bin/python3 packed.py "$1" a/results "${@:2}" && is_right "$1" a/results; }
rm -f out.h5*
map packed.h5 --compress gzip
check "compressed results are numpy's" is_packed packed.h5 gzip 300 4
map out.h5 --compress gzip:9 --compress-rows 37
check "in chunks of the user's choice, of which the last one is not full" is_packed out.h5 gzip 37 9
check "a finished one has a status" grep -q '^out.h5: 300 of 300 rows are good, 0 failed, 0 left; complete$' \
    <("$bin/mpmap" status out.h5)
map out.h5 --compress gzip:9 --compress-rows 37 --resume
check "and is left as it is" says 'out.h5 is finished: it has all 300 rows'
check "nothing is left beside it" nothing_beside out.h5
cp out.h5 small.h5
launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
command -v mpirun >/dev/null || launcher=(env)
rm -f out.h5
map out.h5 --compress gzip:9 --compress-rows 37
check "three nodes compress" is_packed out.h5 gzip 37 9
launcher=(env)
rm -f out.h5
joined 3 out.h5 "${several[@]}" out.h5:/a/results --compress gzip
check "runs that have joined compress" is_packed out.h5 gzip 300 4
check "and say nothing" [ ! -s err ]
check "and leave nothing" nothing_beside out.h5
rm -f out.h5
map out.h5 --compress filter:1:7 --compress-rows 100
check "any filter of HDF5 by its number" is_packed out.h5 gzip 100 7
export FAILS=7
rm -f out.h5
map out.h5 --compress gzip --compress-rows 37 --fill 'mean=nan,count=-1,thumb=255'
check "rows that fail leave the fill value in a compressed one" is_right out.h5 a/results 7 mean=nan count=-1 thumb=255
check "and are listed" is_listed out.h5 7 1
touch mended
rm calls
map out.h5 --compress gzip --compress-rows 37 --fill 'mean=nan,count=-1,thumb=255' --resume --retry-failed
check "they are run again in a finished one" is_packed out.h5 gzip 37
check "and no others ($(calls))" [ "$(calls)" = 42 ]
rm mended
unset FAILS
check "no such filter" wrong 1 'compress is "filter:32999:3", but HDF5 does not find filter 32999' --compress filter:32999:3
HDF5_PLUGIN_PATH=$work check "one that has a name" wrong 1 'does not find filter 32001 (blosc): install its plugin (Debian: hdf5-filter-plugin-blosc-serial), or name its folder in HDF5_PLUGIN_PATH' --compress filter:32001
check "no such level" wrong 1 'compress is "gzip:10": it must be gzip, gzip:LEVEL (1 to 9), or filter:NUMBER' --compress gzip:10
check "chunks of nothing" wrong 1 'compress_rows is about results that are compressed' --compress-rows 10

# A run that dies before steps of main on the disk, of which most are those of the last pass; and one that goes on. Every
# seventh step is tried, from one that is drawn; MPMAP_OUTPUT_STRIDE=1 tries all.
step_is_survived() # N
{
    rm -f out.h5* calls
    dies_before "$1" map out.h5 --compress gzip:9 --compress-rows 37 || return 1
    map out.h5 --compress gzip:9 --compress-rows 37 --resume
    [ "$status" = 0 ] && is_packed out.h5 gzip 37 9 && nothing_beside out.h5 && [ "$(calls)" -le 306 ] ||
        count "a death before step $1 is survived: status $status, $(calls) calls, $(ls out.h5* | tr '\n' ' ')" 1
}
try_steps "${MPMAP_OUTPUT_STRIDE:-7}"
report
