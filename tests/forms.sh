#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps over data sets of all types that h5py, netCDF4 and PyTables write: the bytes that a task gets are numpy's, whatever the
# layout, or the data set is refused with a sentence that names it, its type and what would be right.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py

# The plugin copies a row, so that the output has the very bytes of it.
cat >forms.c <<'C'
#include <mpmap.h>
#include <stdint.h>
#include <string.h>

struct point { double x; int32_t n; };
struct part { float v[2][3]; char s[5]; struct { int16_t a; double b; } in; };

const mpm_task_description point_description = {.result = "u8[16]", .row = "{f64 x, i32 n}"};
const mpm_task_description part_description = {.result = "u8[48]", .row = " { f32[2,3] v; u8[5] s; {i16 a, f64 b} in } "};
const mpm_task_description lacks_description = {.result = "u8[16]", .row = "{f64 x, i32 none}"};
const mpm_task_description other_description = {.result = "u8[16]", .row = "{f64 x, i64 n}"};
const mpm_task_description odd_description = {.result = "u8[16]", .row = "{f64 x, i32}"};
const mpm_task_description open_description = {.result = "u8[16]", .row = "{f64 x, i32 n"};

int copy(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}

int point(mpm_call *call, const void *item, void *result)
{
    const struct point *point = item;
    double *numbers = result;

    if (mpm_call_item_size(call) != sizeof *point)
        return 1;
    numbers[0] = point->x;
    numbers[1] = point->n;
    return 0;
}

int part(mpm_call *call, const void *item, void *result)
{
    const struct part *part = item;
    double *numbers = result;

    if (mpm_call_item_size(call) != sizeof *part)
        return 1;
    for (int i = 0; i < 3; i++)
        numbers[i] = part->v[1][i];
    numbers[3] = part->s[4];
    numbers[4] = part->in.a;
    numbers[5] = part->in.b;
    return 0;
}
int first(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call) < 8 ? mpm_call_item_size(call) : 8);
    return 0;
}
int lacks(mpm_call *call, const void *item, void *result) { return copy(call, item, result); }
int other(mpm_call *call, const void *item, void *result) { return copy(call, item, result); }
int odd(mpm_call *call, const void *item, void *result) { return copy(call, item, result); }
int open(mpm_call *call, const void *item, void *result) { return copy(call, item, result); }
C
cc -shared -fPIC -Wl,-Bsymbolic -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o forms.so forms.c || exit 1

cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(3)
rows = 1000
def put(file, name, data, **options):
    file.create_dataset(name, data=data, **options)
with h5py.File("in.h5", "w") as f:
    put(f, "bool", random.integers(0, 2, (rows, 3)).astype(bool), chunks=(100, 3), compression="gzip")
    f.create_dataset("enum", data=random.integers(1, 3, rows).astype(">u2"),
                     dtype=h5py.enum_dtype({"one": 1, "two": 2}, basetype=">u2"))
    put(f, "string", np.array([b"%d" % n for n in range(rows)], "S7"))
    put(f, "strings", np.array([[b"a%d" % n, b""] for n in range(rows)], "S5"))
    put(f, "complex64", (random.random((rows, 2)) + 1j * random.random((rows, 2))).astype("c8"))
    put(f, "complex128", (random.random(rows) + 1j * random.random(rows)).astype(">c16"))
    put(f, "half", random.random((rows, 4)).astype("f2"))
    put(f, "long", random.random(rows).astype("g"))
    put(f, "opaque", np.frombuffer(random.bytes(7 * rows), "V7"))
    put(f, "time", np.arange(rows).astype("M8[s]").astype(h5py.opaque_dtype("M8[s]")))
    kind = np.dtype([("s", "S5"), ("n", ">i4"), ("x", ">f8"), ("v", "f2", (2, 3)), ("in", [("b", "f8"), ("a", "i2")]),
                     ("c", "c8"), ("ok", "?")])
    table = np.zeros(rows, kind)
    for name in "nx":
        table[name] = random.integers(-1000, 1000, rows)
    table["v"] = random.random((rows, 2, 3))
    table["s"] = [b"%05d" % n for n in range(rows)]
    table["in"]["a"] = random.integers(-1000, 1000, rows)
    table["in"]["b"] = random.random(rows)
    table["c"] = random.random(rows) * (1 + 2j)
    table["ok"] = random.integers(0, 2, rows).astype(bool)
    put(f, "table", table, chunks=(77,), compression="gzip", shuffle=True)
    put(f, "dotted.table", table)
    bits = h5py.h5t.STD_B16BE.copy()
    space = h5py.h5s.create_simple((rows,))
    h5py.h5d.create(f.id, b"bits", bits, space).write(h5py.h5s.ALL, h5py.h5s.ALL,
        random.integers(0, 1 << 16, rows).astype(">u2"), mtype=bits)
    odd = h5py.h5t.STD_I32BE.copy(); odd.set_size(3); odd.set_precision(24)
    put(f, "i32", random.integers(-1 << 22, 1 << 22, rows).astype("i4"))
    h5py.h5d.create(f.id, b"i24", odd, space).write(h5py.h5s.ALL, h5py.h5s.ALL, f["i32"][()], mtype=h5py.h5t.NATIVE_INT32)
    array = h5py.h5t.array_create(h5py.h5t.IEEE_F32BE, (2, 3))
    h5py.h5d.create(f.id, b"arrays", array, space).write(h5py.h5s.ALL, h5py.h5s.ALL,
        random.random((rows, 2, 3)).astype("f4"), mtype=h5py.h5t.array_create(h5py.h5t.NATIVE_FLOAT, (2, 3)))
    f.create_dataset("reference", data=[f["bool"].ref], dtype=h5py.ref_dtype)
    f.create_dataset("references", (2,), dtype=[("r", h5py.ref_dtype)])
P
/usr/bin/python3 made.py || exit 1

# same NAME SHAPE NUMPY [DATASET]: copied by a map, the rows are the bytes of NUMPY, an expression of d, what h5py reads.
same()
{
    rm -f out.h5
    timeout 100 "$bin/mpmap" map forms.so:copy "in.h5:/$1" out.h5:/r --result "$2" --quiet >out 2>err </dev/null &&
        /usr/bin/python3 -c 'import h5py, numpy as np, sys
with h5py.File("in.h5") as f, h5py.File("out.h5") as o:
    d = f["'"${4:-$1}"'"][()]
    want, have = np.ascontiguousarray('"$3"'), o["r"][()]
    sys.exit(want.tobytes() != have.tobytes() or len(set(o["r.done"][()])) != 1)' >>out 2>&1
}
# refused PART ARGUMENT…: a map says PART, and makes nothing.
refused()
{
    local part=$1 status
    shift
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "$@" out.h5:/r --quiet >out 2>err </dev/null
    status=$?
    [[ $status -eq 1 && $(wc -l <err) -eq 1 && $(cat err) == "mpmap: $part"* && ! -e out.h5 && ! -e out.h5.part ]]
}

check "booleans are their bytes" same bool 'i8[3]' 'd.astype("i1")'
check "enumerations are their integers" same enum u16 'd.astype("u2")'
check "strings are their bytes" same string 'u8[7]' d
check "so are several a row" same strings 'u8[2,5]' d
check "complex numbers are two floats" same complex64 'f32[2,2]' d
check "in this machine's order" same complex128 'f64[2]' 'd.astype("c16")'
check "f16 becomes f32" same half 'f32[4]' 'd.astype("f4")'
check "long doubles become f64" same long f64 'd.astype("f8")'
check "opaque bytes are what they are" same opaque 'u8[7]' d
check "so are times of numpy" same time 'u8[8]' d
check "bit fields are unsigned" same bits u16 'd.astype("u2")'
check "integers of three bytes become i32" same i24 i32 d i32
check "elements that are arrays add their dimensions" same arrays 'f32[2,3]' 'd.astype("f4")'
check "a field is taken by its name" same table.x f64 'd["x"].astype("f8")' table
check "one that is an array" same table.v 'f32[2,3]' 'd["v"].astype("f4")' table
check "one that is complex" same table.c 'f32[2]' 'd["c"]' table
check "one that is a string" same table.s 'u8[5]' 'd["s"]' table
check "one in a field" same table.in.b f64 'd["in"]["b"]' table
check "a dot in the name of a data set is no trouble" same dotted.table.n i32 'd["n"].astype("i4")' dotted.table

# structs TASK NUMPY: a task that takes a struct gives numbers that are those of NUMPY.
structs()
{
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "forms.so:$1" in.h5:/table out.h5:/r --quiet >out 2>err </dev/null &&
        /usr/bin/python3 -c 'import h5py, numpy as np, sys
with h5py.File("in.h5") as f, h5py.File("out.h5") as o:
    d = f["table"][()]
    want = np.column_stack('"$2"').astype("f8")
    sys.exit(want.tobytes() != o["r"][()].tobytes())' >>out 2>&1
}
check "rows are structs of the fields that a plugin wants" structs point '[d["x"], d["n"]]'
check "in the plugin's order, with arrays and structs in them" structs part \
    '[d["v"][:, 1], [int(s[4:5][0]) for s in d["s"]], d["in"]["a"], d["in"]["b"]]'
check "the same map goes on" timeout 100 "$bin/mpmap" map forms.so:part in.h5:/table out.h5:/r --resume --quiet 2>err
check "one of another struct does not" grep -q 'belongs to another map: ' <(
    timeout 100 "$bin/mpmap" map forms.so:point in.h5:/table out.h5:/r --resume --quiet 2>&1)
timeout 100 "$bin/mpmap" look in.h5 forms.so >out 2>err
check "a look says which structs fit" grep -qxF '  fits: part, point' <(grep -A 3 '^/table' out | grep fits | sed 's/point, part/part, point/')

kind='{strings of 5 bytes s, i32 big-endian n, f64 big-endian x, f16[2,3] v, {f64 b, i16 a} in, {f32 r, f32 i} c, enumeration of i8 (FALSE, TRUE) ok}'
check "a compound as a whole is refused, and it says what would do" refused \
    "in.h5:/table holds $kind: name one field (in.h5:/table.NAME), or have the plugin say which struct it takes, row = \"{u8[5] s, i32 n, f64 x, f32[2,3] v, {f64 b, i16 a} in, f32[2] c, i8 ok}\"" \
    forms.so:copy in.h5:/table --result f64
check "a field that there is not" refused "in.h5:/table has no field none: it holds $kind" forms.so:lacks in.h5:/table
check "a field of another type" refused \
    'in.h5:/table holds i32 big-endian in its field n, where the row "{f64 x, i64 n}" has i64' forms.so:other in.h5:/table
check "a struct of what is none" refused 'in.h5:/half holds f16, where the row "{f64 x, i32 n}" has a struct' forms.so:point in.h5:/half
check "a description that lacks a name" refused 'the row "{f64 x, i32}" lacks the name of a field at "}"' forms.so:odd in.h5:/table
check "one that does not end" refused 'the row "{f64 x, i32 n" lacks } at ""' forms.so:open in.h5:/table
check "a field by a wrong name" refused 'in.h5:/table.none holds {' forms.so:copy in.h5:/table.none --result f64
check "references" refused 'in.h5:/reference holds references, which mean nothing outside of their file' \
    forms.so:copy in.h5:/reference --result f64
check "compounds of them" refused 'in.h5:/references holds {references r}: a map can take none of these fields' \
    forms.so:copy in.h5:/references --result f64

if /usr/bin/python3 -c 'import netCDF4, tables' 2>/dev/null; then
    /usr/bin/python3 - <<'P' || exit 1
import netCDF4, numpy as np, tables
random = np.random.default_rng(5)
with netCDF4.Dataset("in.nc", "w") as file:
    file.createDimension("time", None)
    file.createDimension("letters", 6)
    kind = np.dtype([("x", "f8"), ("n", "i4")])
    pair = file.createCompoundType(kind, "pair")
    rows = np.zeros(200, kind)
    rows["x"], rows["n"] = random.random(200), range(200)
    file.createVariable("pairs", pair, ("time",))[:] = rows
    names = file.createVariable("names", "S1", ("time", "letters"))
    names[:] = np.array([[bytes([97 + n % 26])] * 6 for n in range(200)], "S1")
    weather = file.createEnumType(np.uint8, "weather", {"dry": 0, "wet": 1})
    file.createVariable("sky", weather, ("time",))[:] = random.integers(0, 2, 200).astype("u1")
class Row(tables.IsDescription):
    name = tables.StringCol(9)
    x = tables.Float64Col()
    n = tables.Int32Col()
    z = tables.ComplexCol(itemsize=16)
with tables.open_file("tables.h5", "w") as file:
    table = file.create_table("/", "table", Row, filters=tables.Filters(complevel=3, complib="zlib"))
    row = table.row
    for n in range(300):
        row["name"], row["x"], row["n"], row["z"] = b"row%d" % n, n / 3, -n, complex(n, 1)
        row.append()
P
    # elsewhere FILE DATASET SHAPE NUMPY PATH
    elsewhere()
    {
        mv in.h5 kept.h5 && cp "$1" in.h5
        same "$2" "$3" "$4" "$5"
        local status=$?
        mv kept.h5 in.h5
        return $status
    }
    check "netCDF-4's letters" elsewhere in.nc names 'u8[6,1]' d names
    check "its enumerations" elsewhere in.nc sky u8 d sky
    check "fields of its compounds" elsewhere in.nc pairs.x f64 'd["x"]' pairs
    check "columns of PyTables" elsewhere tables.h5 table.name 'u8[9]' 'd["name"]' table
    check "and complex ones" elsewhere tables.h5 table.z 'f64[2]' 'd["z"]' table
    rm -f out.h5
    check "rows of PyTables are structs" timeout 100 "$bin/mpmap" map forms.so:point tables.h5:/table out.h5:/r --quiet
    check "with the right numbers" /usr/bin/python3 -c 'import h5py, sys
d, o = h5py.File("tables.h5")["table"][()], h5py.File("out.h5")["r"][()].view("f8")
sys.exit(not ((o[:, 0] == d["x"]).all() and (o[:, 1] == d["n"]).all()))'
fi

# Flipped bits and cut ends: whatever HDF5 makes of them, a map says what is wrong, or ends well. What HDF5 itself leaks, or
# copies beyond a buffer, when it finds a damage, is not looked at.
/usr/bin/python3 - <<'P' || exit 1
import h5py, numpy as np, random
with h5py.File("small.h5", "w") as f:
    f.create_dataset("packed", data=np.arange(60, dtype="f4").reshape(20, 3), chunks=(4, 3), compression="gzip")
    f["table"] = np.zeros(20, [("x", "f8"), ("s", "S5"), ("c", "c8")])
random.seed(5)
data = open("small.h5", "rb").read()
for number in range(16):
    bad = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 16))):
        bad[random.randrange(len(bad))] ^= 1 << random.randrange(8)
    open("bad%d.h5" % number, "wb").write(bad[:random.randrange(len(bad))] if number % 8 == 0 else bad)
P
wrong=0
for file in bad*.h5; do
    for set in packed table.c; do
        rm -f out.h5 out.h5.part
        ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 timeout 200 "$bin/mpmap" map forms.so:first "$file:/$set" out.h5:/r \
            --result 'u8[8]' --quiet --workers 1 --attempts 1 >out 2>err </dev/null
        status=$?
        [[ $status -eq 0 ]] || { [[ $status -eq 1 ]] && grep -q '^mpmap: ' err; } ||
            { wrong=$((wrong + 1)); echo "$file:/$set: status $status"; cat err; }
    done
done
check "a damaged file ends no map but with a sentence" test $wrong -eq 0
report
