#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap look on files that h5py and netCDF4 have made: what is in them, what a map can take of it and which tasks fit, as
# text and as JSON. Files of other kinds are called by their names, and files that are damaged, or crash HDF5, get a sentence.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py

# look ARGUMENT…: sets $status.
look()
{
    timeout 100 "$bin/mpmap" look "$@" >out 2>err </dev/null
    status=$?
}

status_is() { [[ $status -eq $1 ]]; }
prints() { [[ $(cat out) == "$1" ]]; }
has_line() { grep -qxF -- "$1" out; }
fails_with() { [[ $status -eq 1 && $(wc -l <err) -eq 1 && $(cat err) == "mpmap: $1" ]]; }
# json_is EXPRESSION: of j, the object that was printed, and e, its entries by path.
json_is()
{
    /usr/bin/python3 -c 'import json, sys
j = json.load(open("out")); e = {x["path"]: x for x in j["entries"]}
sys.exit(not ('"$1"'))'
}

cat >made.py <<'P'
import h5py, numpy as np
with h5py.File("in.h5", "w") as f:
    f["f32"] = np.arange(24, dtype="f4").reshape(6, 4)
    z = f.create_dataset("g/z", data=np.arange(1000.).reshape(100, 10), chunks=(10, 5), maxshape=(None, 10), compression="gzip",
                         shuffle=True)
    z.attrs["units"] = "K"
    z.attrs["scale_factor"] = 0.5
    z.attrs["_FillValue"] = np.int64(-2**63)
    f["texts"] = ["a", "bb"]
    f["scalar"] = 3
    f["none"] = h5py.Empty(">f4")
    f["soft"] = h5py.SoftLink("/f32")
    f["gone"] = h5py.SoftLink("/nothing")
    f["circle"] = h5py.SoftLink("/round"); f["round"] = h5py.SoftLink("/circle")
    f["texts"].attrs["TITLE"] = "" # as PyTables has them
    f["to_group"] = h5py.SoftLink("/g")
    f["g/self"] = f["g"]
    f["type"] = np.dtype("i4")
with h5py.File("odd.h5", "w") as f:
    f["esc\x1b[2J\n"] = np.zeros(3, "i1")
    f[b"latin\xe9"] = np.zeros(3, "i1")
    f["quoted\"\\"] = np.zeros(3, "i1")
h5py.File("empty.h5", "w").close()
with open("in.h5", "rb") as f:
    data = f.read()
with open("heaps.h5", "wb") as f:
    f.write(data.replace(b"HEAP", b"HEAQ", 1))
with h5py.File("outside.h5", "w") as f:
    f["a"] = np.zeros(3, "i1")
    f["pipe"] = h5py.ExternalLink("pipe.h5", "/x")
P
/usr/bin/python3 made.py || exit 1
cat >task.c <<'C'
#include <mpmap.h>
const mpm_task_description any_description = {.result = "f64"};
const mpm_task_description four_description = {.result = "f64", .row = "f32[4]"};
const mpm_task_description doubles_description = {.result = "f64", .row = "f64"};
int any(mpm_call *call, const void *item, void *result) { (void)call, (void)item, (void)result; return 0; }
int four(mpm_call *call, const void *item, void *result) { return any(call, item, result); }
int doubles(mpm_call *call, const void *item, void *result) { return any(call, item, result); }
int undescribed(mpm_call *call, const void *item, void *result) { return any(call, item, result); }
C
cc -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o task.so task.c || exit 1

look in.h5
check "a look succeeds" status_is 0
check "it tells all that is in the file" prints '/circle
  is a soft link to /round, which is a link, too, and leads nowhere, or in a circle
/f32  6 x 4 of f32; contiguous
  map: 6 rows of f32[4]
/g/z  100 x 10 of f64; chunked by 10 x 5; shuffle, gzip 4; may grow
  units: K; scale_factor: 0.5; _FillValue: -9223372036854775808
  map: 100 rows of f64[10]
/gone
  is a soft link to /nothing, which does not exist
/none  no data of f32 big-endian; contiguous
  no map: has no rows: it is without data
/round
  is a soft link to /circle, which is a link, too, and leads nowhere, or in a circle
/scalar  scalar of i64; contiguous
  no map: has no rows: it is a scalar
/soft  6 x 4 of f32; contiguous
  map: 6 rows of f32[4]
/texts  2 of strings of variable length; contiguous
  map: 2 rows of u8[]
/to_group
  is a group, not a data set: it holds self, z
/type  type: i32
  is a type, not a data set'
look in.h5 task.so
check "tasks that fit are told" has_line '  fits: any, four'
check "of each data set" has_line '  fits: any, doubles'
sed 's/any/superfour/; s/doubles/four_ever/' task.c >names.c
cc -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o names.so names.c || exit 1
look in.h5 names.so
check "also one whose name is the end of another's" has_line '  fits: four, superfour'
look in.h5 task.so --json
check "JSON is JSON" json_is 'j["file"] == "in.h5" and len(e) == 11 and "error" not in j'
check "it says the same" json_is 'e["/g/z"] == {"path": "/g/z", "kind": "data set", "type": "f64", "shape": [100, 10],
    "may_grow": True, "storage": "chunked", "chunk": [10, 5], "filters": "shuffle, gzip 4",
    "attributes": "units: K; scale_factor: 0.5; _FillValue: -9223372036854775808",
    "can_be_mapped": True, "rows": 100, "row": "f64[10]", "fits": ["any", "doubles"]}'
check "and why not" json_is 'e["/scalar"]["why_not"] == "has no rows: it is a scalar" and not e["/scalar"]["can_be_mapped"]'
look odd.h5
check "names cannot move the cursor" has_line '/esc?[2J?  3 of i8; contiguous'
look odd.h5 --json
check "odd names are JSON" json_is 'set(e) == {"/esc\x1b[2J\n", "/latin\xe9", "/quoted\"\\"}'
look empty.h5
check "an empty file holds nothing" prints 'empty.h5 holds no data sets'
look empty.h5 --json
check "also in JSON" json_is 'j == {"file": "empty.h5", "entries": []}'

look heaps.h5
check "a group that cannot be read is damaged" prints '/
  is damaged: bad local heap signature'
check "also where it is named" grep -q 'heaps.h5:/f32 cannot be read: bad local heap signature$' <(
    timeout 100 "$bin/mpmap" map task.so:any heaps.h5:/f32 out.h5:/r 2>&1)

if /usr/bin/python3 -c 'import netCDF4' 2>/dev/null; then
    /usr/bin/python3 - <<'P' || exit 1
import netCDF4, numpy
with netCDF4.Dataset("new.nc", "w") as file:
    file.createDimension("time", None)
    file.createDimension("x", 3)
    file.createVariable("x", "f4", ("x",))
    variable = file.createVariable("temperature", "i2", ("time", "x"), zlib=True)
    variable.units = "K"
    variable[:] = numpy.zeros((2, 3))
netCDF4.Dataset("classic.nc", "w", format="NETCDF3_CLASSIC").close()
netCDF4.Dataset("data64.nc", "w", format="NETCDF3_64BIT_DATA").close()
P
    look new.nc
    check "netCDF-4 has its dimensions named" has_line '  units: K; scales: /time, /x'
    look classic.nc
    check "netCDF classic is called so" fails_with \
        'classic.nc is a netCDF classic file (CDF-1), not an HDF5 file: nccopy -k nc4 IN.nc OUT.nc'
    look data64.nc
    check "in each version" fails_with \
        'data64.nc is a netCDF classic file (64-bit data, CDF-5), not an HDF5 file: nccopy -k nc4 IN.nc OUT.nc'
fi
printf '\016\003\023\001 and more' >old.hdf
look old.hdf
check "HDF4 is called so" fails_with 'old.hdf is an HDF4 file, not an HDF5 file: h4toh5 IN.hdf OUT.h5'
: >nothing.h5
look nothing.h5
check "a file without bytes is" fails_with 'nothing.h5 is empty, so not an HDF5 file'
look missing.h5
check "one that is not there, too" fails_with 'file missing.h5 does not exist'
look missing.h5 --json
check "and in JSON" json_is 'j["error"] == "file missing.h5 does not exist"'
head -c 3000 in.h5 >short.h5
look short.h5
check "a file that is cut short is called so" fails_with \
    "cannot open short.h5: truncated file: eof = 3000, sblock->base_addr = 0, stored_eof = $(stat -c %s in.h5)"
exec 9<>in.h5
flock -x 9 # as HDF5 does in a program that writes it
look in.h5 9>&-
check "one that is written is refused" grep -q 'in.h5 is open for writing' err
look in.h5 --no-lock 9>&-
check "unless it may be" status_is 0
exec 9>&-

# HDF5 waits at a pipe that a link leads to, and is killed there as by a fault of its own.
looker=
looking()
{
    # shellcheck disable=SC2046 # words
    looker=$(named mpmap-process $(tree $run)) && [[ -n $looker ]]
}
mkfifo pipe.h5
HDF5_USE_FILE_LOCKING=FALSE timeout 100 "$bin/mpmap" look outside.h5 --json >out 2>err </dev/null &
run=$!
check "a process of its own looks" wait_for 60 looking
[[ -n $looker ]] && kill -SEGV "$looker"
wait $run
status=$?
check "HDF5 that crashes costs that process" fails_with \
    'outside.h5 is damaged: HDF5 crashed by SIGSEGV after 0 things in it'
check "and JSON is whole" json_is 'j["error"].startswith("outside.h5 is damaged")'

# Flipped bits and cut ends: whatever HDF5 makes of them, there is an answer.
/usr/bin/python3 - <<'P' || exit 1
import random
random.seed(7)
data = open("in.h5", "rb").read()
for number in range(40):
    bad = bytearray(data)
    for _ in range(random.choice((1, 1, 4, 32))):
        bad[random.randrange(4096 if number % 2 else len(bad))] ^= 1 << random.randrange(8)
    open("bad%d.h5" % number, "wb").write(bad[:random.randrange(len(bad))] if number % 8 == 0 else bad)
P
is_answered()
{
    json_is '("error" in j) == ('"$status"' == 1)' && { [[ $status -eq 0 ]] || { [[ $status -eq 1 ]] && tail -n 1 err | grep -q '^mpmap: '; }; }
}
wrong=0
for file in bad*.h5; do
    look "$file" --json
    is_answered || { wrong=$((wrong + 1)); echo "$file: status $status"; cat err; }
done
check "a damaged file has an answer" test $wrong -eq 0
report
