#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Chunks with gzip, shuffle and fletcher32, which mpmap decompresses and compresses by libdeflate where that is: rows of all
# orders of filters, types and shapes of chunks are numpy's; chunks that are missing, stored without a filter or damaged are
# what HDF5 makes of them; each chunk is decompressed once, by libdeflate, and by HDF5 where libdeflate cannot be loaded, which a
# library in front of both counts. What is written is read by h5py, and no larger than h5py's by more than 2 %.
# Arguments: folder of mpmap, folder of the sources. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
source_folder=$(cd "${2:-${MPMAP_SOURCE:?}}" && pwd)

cat >made.py <<'P'
import struct, sys, zlib
import h5py, numpy as np
from h5py import h5d, h5p, h5s, h5t, h5z
random = np.random.default_rng(17)
orders = {"gzip": "g", "shuffled": "sg", "checked": "sgf", "checked_first": "fsg", "plainly_checked": "gf"}
def set_of(f, name, data, chunks, order, kind=None):
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk(chunks)
    for step in order:
        plist.set_shuffle() if step == "s" else plist.set_fletcher32() if step == "f" else plist.set_deflate(4)
    kind = h5t.py_create(data.dtype, logical=True) if kind is None else kind
    return h5py.Dataset(h5d.create(f.id, name.encode(), kind, h5s.create_simple(data.shape), plist))
with h5py.File("in.h5", "w") as f:
    data = random.integers(0, 1000, (50, 6, 5)).astype("f4")
    for name, order in orders.items():
        set_of(f, name, data, (8, 6, 5), order)[...] = data
    for name, chunks in {"columns": (16, 2, 5), "narrow": (9, 4, 3), "single": (1, 1, 1), "long": (50, 6, 1), "larger": (7, 6, 5)}.items():
        set_of(f, name, data, chunks, "sg")[...] = data
    for kind in ("u1", "<i2", ">i2", ">f4", "<f8", ">f8", "<u8", "<f2", "c8", "S3", "V5", "?"):
        some = np.frombuffer(random.bytes(50 * 30), "u1").reshape(50, 30) % 2
        some = some.astype(bool) if kind == "?" else (some + 65).view("S3") if kind == "S3" else (
            some.view("V5") if kind == "V5" else random.integers(0, 100, (50, 6)).astype(kind))
        set_of(f, "type " + np.dtype(kind).str[1:] + (" big" if kind[0] == ">" else ""), some, (8, some.shape[1] - 1), "sgf")[...] = some
    table = np.zeros(50, [("n", ">i4"), ("x", "f8"), ("s", "S3"), ("t", h5py.string_dtype())])
    table["n"], table["x"], table["s"], table["t"] = range(50), random.random(50), b"ab", "text"
    f.create_dataset("table", data=table, chunks=(16,), compression="gzip", shuffle=True)
    f.create_dataset("flat", data=np.arange(1000.), chunks=(77,), compression="gzip", shuffle=True)
    sparse = f.create_dataset("sparse", (50, 6), "f8", chunks=(8, 4), compression="gzip", shuffle=True, fillvalue=7)
    sparse[20:30] = random.random((10, 6))
    raw = set_of(f, "raw", data[:, :, 0], (10, 6), "sgf")
    raw[...] = data[:, :, 0]
    def shuffled(chunk):
        return np.frombuffer(chunk.tobytes(), "u1").reshape(-1, 4).T.tobytes()
    raw.id.write_direct_chunk((10, 0), data[10:20, :, 0].tobytes(), 7)           # no filter
    raw.id.write_direct_chunk((20, 0), shuffled(data[20:30, :, 0]), 6)           # shuffle alone
    raw.id.write_direct_chunk((30, 0), zlib.compress(data[30:40, :, 0].tobytes()), 5)
    raw.id.write_direct_chunk((40, 0), zlib.compress(shuffled(data[40:50, :, 0]), 9), 4)
def stored(f, name, row):
    return f[name].id.read_direct_chunk((row, 0))[1]
with h5py.File("bad.h5", "w") as f:
    data = random.integers(0, 1000, (80, 6)).astype("f4")
    for name, order in {"bad": "sg", "bad_checked": "sgf"}.items():
        bad = set_of(f, name, data, (10, 6), order)
        bad[...] = data
        good = [stored(f, name, row) for row in range(0, 80, 10)]
        bad.id.write_direct_chunk((10, 0), good[1][:-7], 0)
        bad.id.write_direct_chunk((20, 0), random.bytes(100), 0)
        bad.id.write_direct_chunk((30, 0), good[3][:20] + bytes([good[3][20] ^ 64]) + good[3][21:], 0)
        if name == "bad": # of a single byte HDF5 takes off a checksum of four, and may crash
            bad.id.write_direct_chunk((40, 0), good[4][:1], 0)
        bad.id.write_direct_chunk((60, 0), b"\0" * 4 + good[6], 0)
    ends = set_of(f, "ends", data, (10, 6), "sg")
    ends[...] = data
    ends.id.write_direct_chunk((10, 0), stored(f, "ends", 10) + b"behind the end", 0)
    sizes = set_of(f, "sizes", data, (10, 6), "g")
    sizes[...] = data
    sizes.id.write_direct_chunk((10, 0), zlib.compress(b"\1" * 239), 0)
    sizes.id.write_direct_chunk((20, 0), zlib.compress(b"\1" * 100000), 0)
    sizes.id.write_direct_chunk((30, 0), zlib.compress(b""), 0)
    sizes.id.write_direct_chunk((40, 0), data[40:50].tobytes()[:200], 1)
with h5py.File("unfiltered.h5", "w", libver="latest") as f: # its chunks at the edges have no filters
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((8, 4))
    plist.set_deflate(4)
    if hasattr(plist, "set_chunk_opts"):
        plist.set_chunk_opts(h5d.CHUNK_DONT_FILTER_PARTIAL_CHUNKS)
    h5py.Dataset(h5d.create(f.id, b"d", h5t.NATIVE_FLOAT, h5s.create_simple((50, 6)), plist))[...] = np.arange(300).reshape(50, 6)
with h5py.File("large.h5", "w") as f:
    smooth = np.round(np.sin(np.arange(1 << 19) / 99).reshape(2048, 256) * 1000 + random.integers(0, 8, (2048, 256)))
    f.create_dataset("smooth", data=smooth.astype("f4"), chunks=(64, 256), compression="gzip", shuffle=True)
    f.create_dataset("columns", data=smooth.astype("f4"), chunks=(512, 32), compression="gzip", shuffle=True)
    f.create_dataset("noise", data=random.integers(0, 256, (2048, 256)).astype("u1"), chunks=(64, 256))
    f.create_dataset("counts", data=random.poisson(3, (2048, 256)).astype("i8"), chunks=(64, 256))
P
/usr/bin/python3 made.py || exit 1

# A row as it is, and what it needs to be a result: the types of rows stand in `mpmap look`.
cat >same.c <<'C'
#include <mpmap.h>
#include <string.h>
const mpm_task_description structs_description = {.result = "{f64 x, i32 n}", .row = "{f64 x, i32 n}"};
int same(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}
int structs(mpm_call *call, const void *item, void *result)
{
    return same(call, item, result);
}
C
make_plugin same

# In front of libdeflate and zlib: a byte in the file `unpacked`, `packed` or `inflated` for each chunk. WITHOUT_IT: libdeflate
# cannot be loaded.
cat >front.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd))
        abort();
}

void *dlopen(const char *name, int flags)
{
    static void *(*real)(const char *, int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "dlopen");
    return getenv("WITHOUT_IT") && name && strstr(name, "libdeflate") ? real("/nowhere", flags) : real(name, flags);
}

int inflateEnd(void *stream)
{
    static int (*real)(void *);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "inflateEnd");
    note("inflated");
    return real(stream);
}
#ifdef COUNTS_LIBDEFLATE
#include <libdeflate.h>

enum libdeflate_result libdeflate_zlib_decompress_ex(struct libdeflate_decompressor *decompressor, const void *in, size_t size,
                                                     void *out, size_t room, size_t *taken, size_t *made)
{
    static __typeof__(libdeflate_zlib_decompress_ex) *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "libdeflate_zlib_decompress_ex");
    note("unpacked");
    return real(decompressor, in, size, out, room, taken, made);
}

size_t libdeflate_zlib_compress(struct libdeflate_compressor *compressor, const void *in, size_t size, void *out, size_t room)
{
    static __typeof__(libdeflate_zlib_compress) *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "libdeflate_zlib_compress");
    note("packed");
    return real(compressor, in, size, out, room);
}
#endif
C
libraries=("$bin"/../lib/libmpmap.so)
has_libdeflate() { grep -qF libdeflate.so "${libraries[0]}"; }
cc -O1 -shared -fPIC -o front.so front.c -Wl,--no-as-needed -lz -ldl || exit 1
if has_libdeflate; then
    cc -O1 -DCOUNTS_LIBDEFLATE -shared -fPIC -o front_of_it.so front.c -Wl,--no-as-needed -lz -ldeflate -ldl || exit 1
fi

map() # FILE:/SET RESULT option…
{
    rm -f out.h5*
    timeout 60 "$bin/mpmap" map same.so:"${task:-same}" "$1" out.h5:/r ${2:+--result "$2"} --workers 2 --quiet "${@:3}" >out 2>err </dev/null
    status=$?
}

# ---- 1. Reading ----

# right.py FILE SET WHAT: out.h5 has the rows of the set, as h5py reads them; a numpy expression of d says which.
cat >right.py <<'P'
import sys, h5py, numpy as np
name, _, field = sys.argv[2].partition(".")
d = h5py.File(sys.argv[1])[name]
d = d.fields(field) if field else d
if sys.argv[3] == "table":
    got, d = h5py.File("out.h5")["r"], d[...]
    assert np.array_equal(got["x"][...], d["x"]) and np.array_equal(got["n"][...], d["n"])
    sys.exit()
want = eval(sys.argv[3], {"d": d[...], "np": np})
got = h5py.File("out.h5")["r"][...]
assert got.tobytes() == np.ascontiguousarray(want, want.dtype.newbyteorder("=")).tobytes(), (got, want)
P
is_right() { [ "$status" = 0 ] && /usr/bin/python3 right.py "$@" 2>>err; }

reads() # WHAT FILE SET RESULT NUMPY option…
{
    map "$2:/$3" "$4" "${@:6}"
    check "$1" is_right "$2" "$3" "$5"
}

read_all()
{
    local name
    for name in gzip shuffled checked checked_first plainly_checked columns narrow single long larger; do
        reads "$name" in.h5 $name 'f32[6,5]' d
    done
    reads "some rows" in.h5 narrow 'f32[6,5]' 'd[3:47:7]' --rows 3:47:7
    reads "rows far from each other" in.h5 checked 'f32[6,5]' 'd[::20]' --rows ::20
    reads "a row at a time" in.h5 columns 'f32[6,5]' d --block-rows 1 --chunk 1
    reads "along another axis" in.h5 narrow 'f32[50,6]' 'np.moveaxis(d, 2, 0)' --axis 2
    reads "tiles" in.h5 columns 'f32[4,4,5]' \
        'np.pad(d, ((1, 3), (1, 3), (0, 0)), mode="constant").astype("f4")[[[[r * 2 + i] for i in range(4)] for r in range(25) for c in range(3)], [[[c * 2 + j for j in range(4)]] for r in range(25) for c in range(3)]].reshape(25, 3, 4, 4, 5).reshape(75, 4, 4, 5)' \
        --tile 2,2 --halo 1 --edge constant
    reads "bytes" in.h5 'type u1' 'u8[6]' d
    reads "i16" in.h5 'type i2' 'i16[6]' d
    reads "i16, another byte order" in.h5 'type i2 big' 'i16[6]' d
    reads "f32, another byte order" in.h5 'type f4 big' 'f32[6]' d
    reads "f64" in.h5 'type f8' 'f64[6]' d
    reads "f64, another byte order" in.h5 'type f8 big' 'f64[6]' d
    reads "u64" in.h5 'type u8' 'u64[6]' d
    reads "half floats" in.h5 'type f2' 'f32[6]' 'd.astype("f4")'
    reads "complex numbers" in.h5 'type c8' 'f32[6,2]' d
    reads "strings" in.h5 'type S3' 'u8[10,3]' d
    reads "opaque bytes" in.h5 'type V5' 'u8[6,5]' d
    reads "booleans" in.h5 'type b1' 'i8[30]' d
    reads "single elements" in.h5 flat f64 d
    task=structs reads "structs" in.h5 table '' table
    reads "a field" in.h5 table.x f64 d
    reads "chunks that were never written" in.h5 sparse 'f64[6]' d
    reads "chunks without some of the filters" in.h5 raw 'f32[6]' d
    reads "chunks at the edge without filters" unfiltered.h5 d 'f32[6]' d
    reads "bytes behind a stream" bad.h5 ends 'f32[6]' d
}
read_all

# Rows of damaged chunks are what HDF5 makes of them: values, or failures with a sentence.
cat >bad.py <<'P'
import sys, h5py, numpy as np
d, out = h5py.File("bad.h5")[sys.argv[1]], h5py.File("out.h5")
marks, got = out["r.done"][...], out["r"][...]
failed = set()
for row in range(0, 80, 10):
    try:
        want = d[row:row + 10]
    except OSError:
        failed.add(row)
        assert (marks[row:row + 10] == 2).all(), (row, marks)
        continue
    assert (marks[row:row + 10] == 1).all(), (row, marks)
    assert np.array_equal(got[row:row + 10], want), row
assert failed == set(eval(sys.argv[2])), failed
P
is_as_hdf5_has_it() { [ "$status" = 1 ] && grep -q 'cannot read rows' err && /usr/bin/python3 bad.py "$@" 2>>err; }
map bad.h5:/bad 'f32[6]'
check "damaged chunks cost their rows" is_as_hdf5_has_it bad '(10, 20, 30, 40, 60)'
map bad.h5:/bad_checked 'f32[6]'
check "so do those whose checksum is wrong" is_as_hdf5_has_it bad_checked '(10, 20, 30, 60)'
# What HDF5 makes of a stream of another size is not always the same: it must end, and the others are good.
cat >sizes.py <<'P'
import h5py, numpy as np
d, out = h5py.File("bad.h5")["sizes"], h5py.File("out.h5")
for row in (0, 50, 60, 70):
    assert (out["r.done"][row:row + 10] == 1).all() and np.array_equal(out["r"][row:row + 10], d[row:row + 10]), row
P
map bad.h5:/sizes 'f32[6]'
ends_well() { [ "$status" -le 1 ] && /usr/bin/python3 sizes.py 2>>err; }
check "streams of another size end well" ends_well

# ---- 2. Who decompresses ----
times() { stat -c %s "$1" 2>/dev/null || echo 0; }
# counted FRONT UNPACKED INFLATED FILE:/SET RESULT option…
counted()
{
    local front=$1 unpacked=$2 inflated=$3
    shift 3
    rm -f unpacked packed inflated
    LD_PRELOAD=$work/$front ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 map "$@"
    [ "$status" = 0 ] && [ "$(times unpacked)" = "$unpacked" ] && [ "$(times inflated)" = "$inflated" ] && return
    echo "libdeflate $(times unpacked), zlib $(times inflated)" >>err
    return 1
}
if has_libdeflate; then
    check "each chunk is decompressed once, by libdeflate" counted front_of_it.so 32 0 large.h5:/smooth 'f32[256]'
    check "one worker does so with those across the rows" \
        counted front_of_it.so 32 0 large.h5:/columns 'f32[256]' --workers 1
    check "also a few rows at a time" counted front_of_it.so 32 0 large.h5:/columns 'f32[256]' --workers 1 --block-rows 7
    check "and in tiles" counted front_of_it.so 32 0 large.h5:/columns 'f32[64,32]' --workers 1 --tile 64,32
else
    skip "who decompresses" "this mpmap was built without libdeflate"
fi
WITHOUT_IT=1 counted front.so 0 32 large.h5:/smooth 'f32[256]'
count "HDF5 does it where libdeflate cannot be loaded" $?
check "with the same bytes" is_right large.h5 smooth d

# ---- 3. Writing ----
# packed.py SET LEVEL ROWS: out.h5 is h5py's own, filters included, and not larger by more than 2 %.
cat >packed.py <<'P'
import sys, h5py, numpy as np
level, rows = int(sys.argv[2]), int(sys.argv[3])
data = h5py.File("large.h5")[sys.argv[1]][...]
r = h5py.File("out.h5")["r"]
assert r.compression == "gzip" and r.compression_opts == level and r.shuffle == (data.dtype.itemsize > 1), r.shuffle
assert r.chunks == (rows, 256) and np.array_equal(r[...], data)
for i in range(r.id.get_num_chunks()):
    info = r.id.get_chunk_info(i)
    assert info.filter_mask == 0 and info.size <= rows * 256 * data.dtype.itemsize * 1.001 + 12, info
with h5py.File("own.h5", "w") as f:
    own = f.create_dataset("r", data=data, chunks=r.chunks, compression="gzip", compression_opts=level, shuffle=bool(r.shuffle))
    assert r.id.get_storage_size() <= 1.02 * own.id.get_storage_size(), (r.id.get_storage_size(), own.id.get_storage_size())
P
is_packed() { [ "$status" = 0 ] && /usr/bin/python3 packed.py "$@" 2>>err; }
for level in 1 4 6 9; do
    for name in smooth noise counts; do
        case $name in smooth) type='f32[256]' ;; noise) type='u8[256]' ;; *) type='i64[256]' ;; esac
        map large.h5:/$name "$type" --compress gzip:$level --compress-rows 300
        check "$name at level $level" is_packed $name $level 300
    done
done
compressed() # FRONT TIMES: so many chunks by libdeflate
{
    rm -f packed
    LD_PRELOAD=$work/$1 ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 map large.h5:/smooth 'f32[256]' --compress gzip --compress-rows 300
    [ "$status" = 0 ] && [ "$(times packed)" = "$2" ] || { echo "libdeflate $(times packed)" >>err; false; }
}
! has_libdeflate || check "libdeflate compresses each chunk" compressed front_of_it.so 7
WITHOUT_IT=1 compressed front.so 0
count "HDF5 compresses where libdeflate cannot be loaded" $?
check "into what h5py reads, too" is_packed smooth 4 300

report
