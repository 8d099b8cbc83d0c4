#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps and reductions over strings and arrays of variable length that h5py and PyTables have made, and over structs that have
# such fields: a task gets the bytes of each row, in bounded memory, also of null pointers and of very long ones. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py
cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(23)
with h5py.File("in.h5", "w") as f:
    texts = ["".join(chr(97 + c) for c in random.integers(0, 26, n)) for n in random.integers(0, 50, 3000)]
    texts[7], texts[8] = "", "ä€😀"
    f["texts"] = texts
    f.create_dataset("ascii", data=[t.encode("ascii", "replace") for t in texts], dtype=h5py.string_dtype("ascii"))
    f.create_dataset("packed", data=texts, dtype=h5py.string_dtype(), chunks=(100,), compression="gzip")
    f.create_dataset("unwritten", (2000,), dtype=h5py.string_dtype())
    f["unwritten"][50:60] = texts[50:60]
    for name, kind in ("ragged", "f4"), ("small", "u1"), ("wide", "f8"):
        d = f.create_dataset(name, (1000,), dtype=h5py.vlen_dtype(kind))
        for i in range(1000):
            if i % 10:
                d[i] = random.integers(0, 200, random.integers(0, 30)).astype(kind)
    # h5py takes numbers of another byte order in such rows for those of this machine.
    lists = [random.random(n).astype("f4") for n in random.integers(0, 30, 1000)]
    d = f.create_dataset("foreign", (1000,), dtype=h5py.vlen_dtype(">f4"))
    for i in range(1000):
        d[i] = lists[i].astype(">f4")
    f["flat"], f["ends"] = np.concatenate(lists), np.cumsum([len(l) for l in lists])[:-1]
    # Small rows for long, so that many are read at once; then large ones, of 150 MB together.
    d = f.create_dataset("uneven", (2600,), dtype=h5py.vlen_dtype("u1"))
    large = np.arange(5 << 20).astype("u1")
    for i in range(2500):
        d[i] = np.full(i % 3, i % 251, "u1")
    for i in range(2500, 2530):
        d[i] = large[i:]
    kind = np.dtype([("n", "i4"), ("name", h5py.string_dtype()), ("in", [("list", h5py.vlen_dtype("i2"))])])
    table = np.zeros(500, kind)
    for i in range(500):
        table[i] = i, texts[i], (np.arange(i % 7, dtype="i2"),)
    f["table"] = table
    f.create_dataset("packed_table", data=table, chunks=(64,), compression="gzip", shuffle=True)
    f.create_dataset("unwritten_table", (40,), kind)
    f["unwritten_table"][7] = table[9]
    f["square"] = table[:200].reshape(100, 2)
    f["weights"] = random.random(3000)
    f.create_dataset("column", data=np.array(texts[:100], object).reshape(100, 1), dtype=h5py.string_dtype())
    f.create_dataset("pairs", data=np.array(texts[:100], object).reshape(50, 2), dtype=h5py.string_dtype())
    f["chosen"] = np.array([8, 2999, 7, 8])
    nested = h5py.h5t.vlen_create(h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32))
    h5py.h5d.create(f.id, b"nested", nested, h5py.h5s.create_simple((3,)))
for k in range(3):
    with h5py.File(f"part{k}.h5", "w") as f:
        f["d"] = texts[k * 1000:(k + 1) * 1000]
        f["table"] = table[k * 100:(k + 1) * 100]
with h5py.File("part9.h5", "w") as f:
    f.create_dataset("d", (2,), h5py.vlen_dtype("u1"))
try:
    import tables
    with tables.open_file("tables.h5", "w") as f:
        rows = f.create_vlarray("/", "ragged", tables.Float32Atom(shape=(2,)))
        for i in range(300):
            rows.append(random.random((i % 6, 2)).astype("f4"))
except ImportError:
    pass
P
/usr/bin/python3 made.py || exit 1
cat >texts.c <<'C'
#include "noted.h"
#include <string.h>
#include <stdlib.h>
/* The length, and a sum of all bytes that depends on their order. */
int digest(mpm_call *call, const void *item, void *result)
{
    const unsigned char *bytes = item;
    uint64_t sum = 0;
    size_t size = mpm_call_item_size(call);

    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + bytes[i];
    ((uint64_t *)result)[0] = size;
    ((uint64_t *)result)[1] = sum;
    return noted(call) ? 0 : -1;
}
/* Dies of one text, fails at another. */
int picky(mpm_call *call, const void *item, void *result)
{
    if (mpm_call_index(call) == 100)
        abort();
    if (mpm_call_index(call) == 200)
        return mpm_fail(call, "no %zu", mpm_call_item_size(call));
    return digest(call, item, result);
}
const mpm_task_description strings_description = {.result = "u64[2]", .row = "u8[]"};
int strings(mpm_call *call, const void *item, void *result) { return digest(call, item, result); }
const mpm_task_description numbers_description = {.result = "u64[2]", .row = "f32[]"};
int numbers(mpm_call *call, const void *item, void *result) { return digest(call, item, result); }
/* A struct of the file's fields in another order: a number, and length and digest of the texts and of the lists. */
struct record {
    mpm_span name;
    struct {
        mpm_span list;
    } in;
    int32_t n;
};
static uint64_t sum_of(const mpm_span *span)
{
    const unsigned char *bytes = span->at;
    uint64_t sum = 0;

    for (size_t i = 0; i < span->size; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}
static int digest_structs(mpm_call *call, const struct record *rows, uint64_t *result)
{
    size_t count = mpm_call_item_size(call) / sizeof *rows;

    for (size_t i = 0; i < count; i++, result += 5) {
        if (strlen(rows[i].name.at) != rows[i].name.size)
            return mpm_fail(call, "no null byte behind a text");
        result[0] = (uint64_t)rows[i].n;
        result[1] = rows[i].name.size, result[2] = sum_of(&rows[i].name);
        result[3] = rows[i].in.list.size, result[4] = sum_of(&rows[i].in.list);
    }
    return 0;
}
#define RECORD "{text name, {i16[] list} in, i32 n}"
const mpm_task_description records_description = {.result = "u64[5]", .row = RECORD};
int records(mpm_call *call, const void *item, void *result) { return digest_structs(call, item, result); }
const mpm_task_description several_description = {.result = "u64[5]", .row = RECORD, .rows = 4};
int several(mpm_call *call, const void *item, void *result) { return digest_structs(call, item, result); }
const mpm_task_description pairs_description = {.result = "u64[2,5]", .row = RECORD};
int pairs(mpm_call *call, const void *item, void *result) { return digest_structs(call, item, result); }
const mpm_task_description names_description = {.result = "u64[2]", .row = "{u8[] name}"};
int names(mpm_call *call, const void *item, void *result)
{
    const mpm_span *name = item;

    ((uint64_t *)result)[0] = name->size, ((uint64_t *)result)[1] = sum_of(name);
    return mpm_call_item_size(call) != sizeof *name;
}
const mpm_task_description fixed_description = {.result = "u64", .row = "{u8[8] name}"};
int fixed(mpm_call *call, const void *item, void *result) { return digest(call, item, result); }
/* Data sets side by side: struct { double; mpm_span; }. */
const mpm_task_description weighed_description = {.result = "f64[3]"};
int weighed(mpm_call *call, const void *item, void *result)
{
    const struct { double weight; mpm_span text; } *row = item;
    double *out = result;

    out[0] = row->weight, out[1] = (double)row->text.size, out[2] = (double)(sum_of(&row->text) % 1000003);
    return mpm_call_item_size(call) != sizeof *row;
}
const mpm_task_description texts_description = {.result = "u64[2]", .row = "text"};
int texts(mpm_call *call, const void *item, void *result)
{
    return strlen(item) != mpm_call_item_size(call) || digest(call, item, result);
}
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    for (int i = 0; i < 2; i++)
        ((uint64_t *)state)[i] += ((const uint64_t *)later)[i];
}
const mpm_task_description all_description = {.result = "u64[2]"};
const mpm_reduction all_reduction = {.combine = combine, .state_size = 16};
int all(mpm_call *call, const void *item, void *state)
{
    uint64_t one[2];

    digest(call, item, one);
    combine(state, one, NULL);
    return 0;
}
const mpm_task_description total_description = {.result = "u64[2]", .row = RECORD};
const mpm_reduction total_reduction = {.combine = combine, .state_size = 16};
int total(mpm_call *call, const void *item, void *state)
{
    const struct record *record = item;

    (void)call;
    ((uint64_t *)state)[0] += record->name.size + record->in.list.size;
    ((uint64_t *)state)[1] += sum_of(&record->name);
    return 0;
}
static int blocks(mpm_call *call, const void *items, size_t count, void *state)
{
    (void)call, (void)items, (void)count, (void)state;
    return 0;
}
const mpm_task_description block_description = {.result = "u64[2]"};
const mpm_reduction block_reduction = {.combine = combine, .accumulate_block = blocks, .block = 4, .state_size = 16};
int block(mpm_call *call, const void *item, void *state) { return all(call, item, state); }
C
make_plugin texts
cat >digest.py <<'P'
import h5py, numpy as np, sys
def digest(rows):
    out = []
    for row in rows:
        bytes_, sum_ = row.encode() if isinstance(row, str) else bytes(row) if isinstance(row, bytes) else np.ascontiguousarray(row).tobytes(), 0
        if len(bytes_) > 1000:
            sum_ = int(np.frombuffer(bytes_, "u1").astype("u8") @ powers(len(bytes_)))
            sum_ %= 1 << 64
        else:
            for byte in bytes_:
                sum_ = (sum_ * 31 + byte) % (1 << 64)
        out.append((len(bytes_), sum_))
    return np.array(out, "u8").reshape(-1, 2)
# Of table rows: the same as of the struct.
def structs(rows):
    texts, lists = digest([r["name"] for r in rows]), digest([np.asarray(r["in"]["list"], "i2") for r in rows])
    return np.column_stack([np.array([r["n"] for r in rows]).astype("u8"), texts, lists])
def powers(n, known={}):
    if "p" not in known:
        p = np.empty(5 << 20, "u8"); p[0] = 1
        with np.errstate(over="ignore"):
            done = 1
            while done < len(p):
                more = min(done, len(p) - done)
                p[done:done + more] = p[:more] * (p[done - 1] * np.uint64(31))
                done += more
        known["p"] = p
    return known["p"][n - 1::-1] if n else known["p"][:0]
P
map()
{
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "texts.so:$@" out.h5:/r --result 'u64[2]' --quiet >out 2>err </dev/null
}
# is NUMPY: these are the rows whose digests out.h5 has; f is the input.
is()
{
    /usr/bin/python3 -c 'from digest import *
with h5py.File("in.h5") as f, h5py.File("out.h5") as o:
    want, have = np.asarray('"$1"'), o["r"][()]
    bad = np.flatnonzero((want != have).any(axis=1)) if want.shape == have.shape else []
    print(want.shape, have.shape, bad[:5])
    sys.exit(not (np.array_equal(want, have) and (o["r.done"][()] == 1).all()))' >>out 2>&1
}
same() { map digest "in.h5:/$1" "${@:3}" && is "digest($2)"; }
# of_structs TASK SET NUMPY option…: the digests of structs that numpy has
of_structs()
{
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "texts.so:$1" "$2" out.h5:/r --quiet "${@:4}" >out 2>err </dev/null && is "$3"
}

check "texts" same texts 'f["texts"][()]'
check "of ASCII" same ascii 'f["ascii"][()]'
check "in compressed chunks" same packed 'f["packed"][()]'
check "null pointers are of no bytes" same unwritten 'f["unwritten"][()]'
check "arrays" same ragged 'f["ragged"][()]'
check "in another byte order" same foreign 'np.split(f["flat"][()], f["ends"][()])'
check "of bytes" same small 'f["small"][()]'
check "of f64" same wide 'f["wide"][()]'
check "a field of a compound" same table.name 'f["table"]["name"]'
check "one in a field" same table.in.list 'f["table"]["in"]["list"]'
check "a column of texts" same column 'f["column"][:, 0]'
check "a range" same texts 'f["texts"][100:2000:3]' --rows 100:2000:3
check "a list" same texts 'f["texts"][()][f["chosen"][()]]' --rows :/chosen
check "several files" map digest 'part[0-2].h5:/d'
check "are one after the other" is 'digest(f["texts"][()])'
check "a plugin may want texts by that name" map texts in.h5:/texts
check "which is right" is 'digest(f["texts"][()])'

check "structs with fields of variable length" of_structs records in.h5:/table 'structs(f["table"][()])'
check "in compressed chunks" of_structs records in.h5:/packed_table 'structs(f["table"][()])'
check "one such field of them" of_structs names in.h5:/table \
    'digest(f["table"]["name"])'
check "null pointers are of no bytes there" of_structs records in.h5:/unwritten_table 'structs([f["table"][9] if i == 7 else
    np.array((0, b"", ([],)), f["table"].dtype)[()] for i in range(40)])'
check "several a row" of_structs pairs in.h5:/square 'structs(f["table"][:200]).reshape(100, 2, 5)'
check "a range of them" of_structs records in.h5:/table 'structs(f["table"][5:450:7])' --rows 5:450:7
check "that hold" of_structs records in.h5:/table 'structs(f["table"][401:])' --where 'n > 400'
check "of several files" of_structs records 'part[0-2].h5:/table' 'structs(f["table"][:300])'
check "in small blocks" of_structs records in.h5:/table 'structs(f["table"][()])' --block-rows 3 --chunk 10
check "texts beside numbers" of_structs weighed in.h5:/weights,/texts \
    'np.column_stack([f["weights"], (d := digest(f["texts"][()]))[:, 0], d[:, 1] % 1000003])'
check "of some rows" of_structs weighed in.h5:/weights,/texts \
    'np.column_stack([f["weights"][8:20:3], (d := digest(f["texts"][8:20:3]))[:, 0], d[:, 1] % 1000003])' --rows 8:20:3
if [ -f tables.h5 ]; then
    check "a VLArray of PyTables" map digest tables.h5:/ragged
    check "has what PyTables reads" /usr/bin/python3 -c 'from digest import *
import tables
with tables.open_file("tables.h5") as f, h5py.File("out.h5") as o:
    sys.exit(not np.array_equal(digest(f.root.ragged.read()), o["r"][()]))'
else
    skip "a VLArray of PyTables" "it is not installed"
fi
check "a plugin may want texts" map strings in.h5:/texts
check "or arrays" map numbers in.h5:/ragged
check "in blocks" same texts 'f["texts"][()]' --block-rows 7 --chunk 30

# 150 MB of rows that come after small ones. HDF5 keeps some of what it has read; what is freed under ASan stays for long.
memory=120M
! grep -q __asan_init "$bin/../lib/libmpmap.so" || memory=2G
check "large rows after small ones need no more memory than one of them and a block" \
    same uneven 'f["uneven"][()]' --memory $memory --attempts 1 --workers 2

fails() { ! "$@"; }
check "deaths and failures" fails map picky in.h5:/texts
check "cost their rows" grep -q '2 of 3000 items failed; the first is item 100: its worker was killed by SIGABRT' err
check "and no others" /usr/bin/python3 -c 'from digest import *
with h5py.File("in.h5") as f, h5py.File("out.h5") as o:
    want, have, done = digest(f["texts"][()]), o["r"][()], o["r.done"][()]
    want[[100, 200]] = 0
    sys.exit(not (np.array_equal(want, have) and list(np.flatnonzero(done == 2)) == [100, 200]))'

if command -v mpirun >/dev/null; then
    rm -f out.h5
    check "three nodes" env MPMAP_RANKS_PER_NODE=1 timeout 100 mpirun -n 3 "$bin/mpmap" map texts.so:digest in.h5:/packed out.h5:/r \
        --result 'u64[2]' --quiet
    check "have the same" is 'digest(f["packed"][()])'
    rm -f out.h5
    check "structs on three nodes" env MPMAP_RANKS_PER_NODE=1 timeout 100 mpirun -n 3 "$bin/mpmap" map texts.so:records \
        in.h5:/packed_table out.h5:/r --quiet
    check "are the same" is 'structs(f["table"][()])'
fi
rm -f out.h5
killed_at 100 "$bin/mpmap" map texts.so:digest in.h5:/texts out.h5:/r --result 'u64[2]' --chunk 10 --quiet
rm calls
check "and goes on" timeout 100 "$bin/mpmap" map texts.so:digest in.h5:/texts out.h5:/r --result 'u64[2]' --quiet --resume
check "with what it had" test "$(calls)" -lt 3000
check "to the same" is 'digest(f["texts"][()])'
rm -f out.h5
for i in 1 2; do
    timeout 100 "$bin/mpmap" map texts.so:digest in.h5:/texts out.h5:/r --result 'u64[2]' --join --workers 1 --quiet >"joined$i" 2>&1 </dev/null &
done
wait
check "runs that have joined have the same" is 'digest(f["texts"][()])'

# reduces SET
reduces()
{
    timeout 100 "$bin/mpmap" reduce texts.so:all "in.h5:/$1" --quiet "${@:3}" >sum.txt 2>err </dev/null &&
        /usr/bin/python3 -c 'from digest import *
with h5py.File("in.h5") as f:
    want = [int(n) % (1 << 64) for n in digest('"$2"').astype(object).sum(axis=0)]
    have = [int(n) for n in open("sum.txt").read().split()]
    print(want, have)
    sys.exit(want != have)' >out 2>&1
}
check "a reduction of texts" reduces texts 'f["texts"][()]'
check "of arrays" reduces wide 'f["wide"][()]'
check "of some of them, in small leaves" reduces packed 'f["packed"][5:2900]' --rows 5:2900 --leaf 100
timeout 100 "$bin/mpmap" reduce texts.so:total in.h5:/table --quiet >sum.txt 2>err </dev/null
check "of structs" /usr/bin/python3 -c 'from digest import *
with h5py.File("in.h5") as f:
    d = structs(f["table"][()])
    want, have = [int(d[:, 1].sum() + d[:, 3].sum()), int(d[:, 2].sum(dtype="u8"))], [int(n) for n in open("sum.txt").read().split()]
    print(want, have)
    sys.exit(want != have)'
check "of large ones" reduces uneven 'f["uneven"][()]' --memory $memory --attempts 1

# refuses PART ARGUMENT…
refuses()
{
    local part=$1
    shift
    ! timeout 100 "$bin/mpmap" "$@" --quiet >out 2>err </dev/null && [[ $(wc -l <err) -eq 1 ]] && grep -qF -- "$part" err
}
check "several texts a row are refused" refuses 'in.h5:/pairs has 2 texts or arrays of variable length a row: a map takes one a row' \
    map texts.so:digest in.h5:/pairs no.h5:/r --result 'u64[2]'
check "tiles of them" refuses 'in.h5:/texts has elements of variable length, which cannot be cut into tiles' \
    map texts.so:digest in.h5:/texts no.h5:/r --result 'u64[2]' --tile 5
check "arrays of arrays" refuses 'in.h5:/nested holds variable-length variable-length i32' \
    map texts.so:digest in.h5:/nested no.h5:/r --result 'u64[2]'
check "another type" refuses "numbers takes rows of f32[], but those of 'in.h5:/texts' are u8[]" map texts.so:numbers in.h5:/texts no.h5:/r
check "a text where bytes are wanted" refuses 'in.h5:/table holds strings of variable length in its field name, where the row "{u8[8] name}" has u8[8]' \
    map texts.so:fixed in.h5:/table no.h5:/r
check "arrays where texts are wanted" refuses 'in.h5:/small has rows of u8[], where the row is to be text' \
    map texts.so:texts in.h5:/small no.h5:/r
check "several structs a call" refuses 'rows of /table have a variable length, so a call has one' \
    map texts.so:several in.h5:/table no.h5:/r
check "files with texts and with arrays" refuses 'part9.h5:/d and that of part0.h5 have texts in one and arrays of variable length' \
    map texts.so:digest 'part[09].h5:/d' no.h5:/r --result 'u64[2]'
check "tiles of structs" refuses 'in.h5:/square has elements of variable length, which cannot be cut into tiles' \
    map texts.so:pairs in.h5:/square no.h5:/r --tile 5,1
check "a compound as it is tells the struct" refuses 'row = "{i32 n, text name, {i16[] list} in}"' \
    map texts.so:digest in.h5:/table no.h5:/r --result 'u64[2]'
check "blocks" refuses 'rows of in.h5:/texts have a variable length, so they are no blocks' reduce texts.so:block in.h5:/texts
check "a look tells what they are" grep -qF 'map: 3000 rows of u8[]' <("$bin/mpmap" look in.h5)
report
