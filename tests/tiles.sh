#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps over tiles with margins, and over rows along another axis, of data sets that h5py has made: what a task gets is what
# numpy cuts out of numpy.pad's array, at home, over three nodes, after a kill, and by runs that have joined; chunks that
# tiles share are decompressed few times, by the count of a filter. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py
include=${2:-${MPMAP_SOURCE:?}}/lib/include
cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(17)
with h5py.File("in.h5", "w") as f:
    image = random.integers(0, 256, (103, 70, 3)).astype("u1")
    f["image"] = image
    f.create_dataset("packed", data=image, chunks=(32, 20, 2), compression="gzip", shuffle=True)
    f["plane"] = random.random((103, 70)).astype(">f4")
    f["volume"] = random.integers(-1000, 1000, (20, 31, 13)).astype("i2")
    f["line"] = random.random(100)
    f["small"] = random.random((3, 200)).astype("f4")
    table = np.zeros((40, 30), [("x", "f8"), ("n", "i4")])
    table["x"] = random.random((40, 30))
    table["n"] = random.integers(0, 99, (40, 30))
    f["table"] = table
    f["some"] = np.array([7, 0, 5])
    f["large"] = random.random((600, 500)).astype("f4")
for k in range(3):
    with h5py.File(f"stack{k}.h5", "w") as f:
        f["d"] = random.random((50 + k, 40)).astype("f4")
P
/usr/bin/python3 made.py || exit 1

cat >tiles.c <<'C'
#include "noted.h"
#include <string.h>
#include <unistd.h>
int copy(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}
/* An item of 20 x 16 f32 with margins of 4 and 3: what is not margin. */
int middle(mpm_call *call, const void *item, void *result)
{
    (void)call;
    for (int y = 0; y < 20; y++)
        memcpy((float *)result + 16 * y, (const float *)item + (y + 4) * 22 + 3, 16 * sizeof(float));
    return 0;
}
/* The mean of 2 x 2 of a tile of 20 x 16: half as large. Waits where the test wants to kill. */
int half(mpm_call *call, const void *item, void *result)
{
    const float *tile = item;

    if (!noted(call))
        return -1;
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 8; x++)
            ((float *)result)[8 * y + x] = (tile[32 * y + 2 * x] + tile[32 * y + 2 * x + 1]) +
                                           (tile[32 * y + 16 + 2 * x] + tile[32 * y + 16 + 2 * x + 1]);
    return 0;
}
int place(mpm_call *call, const void *item, void *result)
{
    int64_t *numbers = result;
    mpm_tile tile;
    uint64_t row;

    (void)item;
    if (mpm_call_tile(call, &tile) || mpm_call_source(call, NULL, &row))
        return 1;
    numbers[0] = (int64_t)row;
    numbers[1] = tile.rank;
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t all[] = {tile.index[i], tile.count[i], tile.first[i], tile.extent[i], tile.data_first[i], tile.data_end[i]};

        for (int k = 0; k < 6; k++)
            numbers[2 + 6 * i + (unsigned)k] = (int64_t)all[k];
    }
    return 0;
}
/* A copy, or a failure of some tiles while there is a file of that name. */
int some(mpm_call *call, const void *item, void *result)
{
    uint64_t row;

    if (!access("fails", F_OK) && !mpm_call_source(call, NULL, &row) && row % 7 == 4)
        return mpm_fail(call, "one of seven");
    return copy(call, item, result);
}
int no_tile(mpm_call *call, const void *item, void *result)
{
    mpm_tile tile;

    (void)item;
    *(int32_t *)result = mpm_call_tile(call, &tile);
    return 0;
}
struct cell { double x; int n; };
const mpm_task_description cells_description = {.result = "f64", .row = "{f64 x, i32 n}"};
int cells(mpm_call *call, const void *item, void *result)
{
    const struct cell *cell = item;
    double sum = 0;

    for (size_t i = 0; i < mpm_call_item_size(call) / sizeof *cell; i++)
        sum += cell[i].x * cell[i].n;
    *(double *)result = sum;
    return 0;
}
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    *(double *)state += *(const double *)later;
}
const mpm_task_description total_description = {.result = "f64", .row = "f32"};
const mpm_reduction total_reduction = {.combine = combine, .state_size = sizeof(double)};
int total(mpm_call *call, const void *item, void *state)
{
    for (size_t i = 0; i < mpm_call_item_size(call) / sizeof(float); i++)
        *(double *)state += ((const float *)item)[i];
    return 0;
}
C
make_plugin tiles

# What numpy has: tiles(d, (20, 16), (4, 3), "reflect") is [tiles…, shape of an item…]. `none` and `constant` are of zeros.
cat >cut.py <<'P'
import h5py, numpy as np, sys
def tiles(d, tile, halo, edge="constant", **more):
    n = len(tile)
    count = [-(-d.shape[i] // tile[i]) for i in range(n)]
    pad = [(halo[i], count[i] * tile[i] + halo[i] - d.shape[i]) for i in range(n)] + [(0, 0)] * (d.ndim - n)
    p = np.pad(d, pad, edge, **more)
    out = np.empty(count + [t + 2 * h for t, h in zip(tile, halo)] + list(d.shape[n:]), d.dtype)
    for at in np.ndindex(*count):
        out[at] = p[tuple(slice(at[i] * tile[i], (at[i] + 1) * tile[i] + 2 * halo[i]) for i in range(n))]
    return out
P

map()
{
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "tiles.so:$@" --quiet >out 2>err </dev/null
}
# is NUMPY: out.h5 has these results, with their shape; d is the data set SET.
is()
{
    /usr/bin/python3 -c 'from cut import *
with h5py.File("in.h5") as f, h5py.File("'"${output:-out.h5}"'") as o:
    d = f["'"$set"'"][()]
    d = d.astype(d.dtype.newbyteorder("="))
    want, have = '"$1"', o["r"][()]
    print(want.shape, have.shape, want.dtype, have.dtype)
    sys.exit(not (want.shape == have.shape and want.tobytes() == have.tobytes() and (o["r.done"][()] == 1).all()))' \
        >>out 2>&1
}
# refuses PART ARGUMENT…: a map with these arguments fails, with one line that has PART in it.
refuses()
{
    local part=$1
    shift
    ! timeout 100 "$bin/mpmap" map "tiles.so:$@" --quiet >out 2>err </dev/null && [[ $(wc -l <err) -eq 1 ]] && grep -qF -- "$part" err
}
# same_result ONE OTHER: the results are the same, and nothing failed.
same_result()
{
    h5diff "$1" "$2" /r && h5diff "$1" "$2" /r.done
}
# same SET RESULT NUMPY ARGUMENT…: a map that copies items.
same()
{
    set=$1
    map copy "in.h5:/$1" out.h5:/r --result "$2" "${@:4}" && is "$3"
}

for set in image packed; do
    check "$set: tiles" same $set 'u8[20,16,3]' 'tiles(d, (20, 16), (0, 0))' --tile 20,16
    check "$set: with margins" same $set 'u8[28,22,3]' 'tiles(d, (20, 16), (4, 3))' --tile 20,16 --halo 4,3
    check "$set: of a value" same $set 'u8[24,20,3]' 'tiles(d, (20, 16), (2, 2), constant_values=7)' --tile 20,16 --halo 2 \
        --edge constant:7
    check "$set: mirrored" same $set 'u8[28,22,3]' 'tiles(d, (20, 16), (4, 3), "reflect")' --tile 20,16 --halo 4,3 --edge reflect
    check "$set: of the nearest" same $set 'u8[28,22,3]' 'tiles(d, (20, 16), (4, 3), "edge")' --tile 20,16 --halo 4,3 --edge nearest
    check "$set: three dimensions cut" same $set 'u8[20,16,4]' 'tiles(d, (20, 16, 2), (0, 0, 1), "reflect")' \
        --tile 20,16,2 --halo 0,0,1 --edge reflect
    check "$set: one dimension" same $set 'u8[9,70,3]' 'tiles(d, (5,), (2,), "reflect")' --tile 5 --halo 2 --edge reflect
done
check "floats in another byte order" same plane 'f32[28,22]' 'tiles(d, (20, 16), (4, 3), "reflect")' --tile 20,16 --halo 4,3 --edge reflect
check "blocks of a volume" same volume 'i16[11,10,9]' 'tiles(d, (7, 8, 5), (2, 1, 2), "reflect")' --tile 7,8,5 --halo 2,1,2 --edge reflect
check "with a value that is negative" same volume 'i16[8,8,8]' 'tiles(d, (6, 6, 6), (1, 1, 1), constant_values=-5)' --tile 6,6,6 --halo 1 --edge constant:-5
check "pieces of a line" same line 'f64[13]' 'tiles(d, (7,), (3,), "reflect")' --tile 7 --halo 3 --edge reflect
check "margins that are larger than the data set" same small 'f32[28,64]' 'tiles(d, (8, 64), (10, 0), "reflect")' --tile 8,64 --halo 10,0 --edge reflect
check "some of the tiles are a list" same plane 'f32[20,16]' 'tiles(d, (20, 16), (0, 0)).reshape(-1, 20, 16)[f["some"][()]]' --tile 20,16 --rows :/some
check "or a range" same plane 'f32[20,16]' 'tiles(d, (20, 16), (0, 0)).reshape(-1, 20, 16)[3:20:4]' --tile 20,16 --rows 3:20:4

set=plane
check "tiles know where they stand" map place in.h5:/plane out.h5:/r --result 'i64[14]' --tile 20,16 --halo 4,3
check "which is right" is 'np.array([[[ty * 5 + tx, 2] + [v for t, n, k, h, s in ((ty, 6, 20, 4, 103), (tx, 5, 16, 3, 70)) for v in
    (t, n, t * k, min(k, s - t * k), max(0, h - t * k), h + min(s - t * k, k + h))]
    for tx in range(5)] for ty in range(6)])'
check "rows do not" map no_tile in.h5:/plane out.h5:/r --result i32
check "which is an error of theirs" is "np.full(103, $(sed -n 's/.*ENTRY(ESTATE, *\(-[0-9]*\).*/\1/p' "$include/mpmap/status.h"), 'i4')"
set=table
check "tiles of structs" map cells in.h5:/table out.h5:/r --tile 8,8
check "have their fields" is 'np.array([[sum((t["x"] * t["n"]).ravel().tolist()) for t in row] for row in tiles(d, (8, 8), (0, 0))])'

# Images.
set=large
check "middles are stitched" map middle in.h5:/large out.h5:/r --result 'f32[20,16]' --tile 20,16 --halo 4,3 --edge reflect --stitch
check "to the same image" is 'd'
halved='np.pad(d, ((0, 0), (0, 12)))[:, :].reshape(300, 2, 256, 2).transpose(0, 2, 1, 3).reshape(300, 256, 4)'
halved="(lambda h: ((h[..., 0] + h[..., 1]) + (h[..., 2] + h[..., 3]))[:, :250])($halved)"
check "results may be smaller than tiles" map half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch
check "and so is the image" is "$halved"
cp out.h5 kept.h5
set=image
check "three channels" map copy in.h5:/image out.h5:/r --result 'u8[20,16,3]' --tile 20,16 --stitch
check "make an image, too" is 'd'
set=small
check "an image that is smaller than a tile" map copy in.h5:/small out.h5:/r --result 'f32[64,64]' --tile 64,64 --stitch
check "is what it was" is 'd'
set=plane
check "one tile for all of it" map copy in.h5:/plane out.h5:/r --result 'f32[103,70]' --tile 103,70 --stitch
check "as well" is 'd'
check "other programs can read it" grep -q '103, 70' <(h5dump -H -d /r out.h5)
set=large

# Over nodes, killed, joined: the same file.
three_nodes()
{
    rm -f out.h5
    MPMAP_RANKS_PER_NODE=1 timeout 100 mpirun -n 3 "$bin/mpmap" map "tiles.so:$@" --quiet >out 2>err </dev/null
}
if command -v mpirun >/dev/null; then
    check "three nodes" three_nodes half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch
    check "make the same file" cmp out.h5 kept.h5
fi
rm -f out.h5
killed_at 10 "$bin/mpmap" map tiles.so:half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch --chunk 2 --quiet
rm calls
check "one that cuts another way does not go on with it" refuses 'belongs to another map: the choice of rows was tiles 20+0,16+0' \
    half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --edge reflect --stitch --resume
check "the same one does" timeout 100 "$bin/mpmap" map tiles.so:half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch --resume --quiet
check "with the tiles that it had" test "$(calls)" -lt 960
check "and makes the same file" same_result kept.h5 out.h5
check "it is finished then" grep -q 'is finished' <("$bin/mpmap" map tiles.so:half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch --resume 2>&1)
rm -f out.h5
for i in 1 2; do
    timeout 100 "$bin/mpmap" map tiles.so:half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch --join --workers 1 --quiet \
        >"joined$i" 2>&1 </dev/null &
done
wait
check "runs that have joined make the same file" same_result kept.h5 out.h5

# Compressed: images in chunks of a result each, grids in chunks of some results that follow one another.
cat >packed.py <<'P'
# packed.py FILE PLAIN CHUNK…: the results are those of a file that is not compressed, in chunks of that shape.
import h5py, numpy as np, sys
with h5py.File(sys.argv[1]) as f, h5py.File(sys.argv[2]) as plain:
    r, p = f["r"], plain["r"]
    assert r.compression == "gzip" and r.chunks == tuple(int(c) for c in sys.argv[3:]), (r.compression, r.chunks)
    assert r.shape == p.shape and r.dtype == p.dtype and np.array_equal(r[()], p[()])
    assert np.array_equal(f["r.done"][()], plain["r.done"][()]) and ("r.failed" in f) == ("r.failed" in plain)
P
packed() # PLAIN CHUNKS task…: mapped once more, compressed
{
    local plain=$1 chunks=$2
    shift 2
    map "$@" && /usr/bin/python3 packed.py out.h5 "$plain" $chunks
}
check "an image is compressed" packed kept.h5 '10 8' half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch --compress gzip
map copy in.h5:/image out.h5:/r --result 'u8[20,16,3]' --tile 20,16 && mv out.h5 grid.h5
for form in '1 3 20 16 3:3' '2 5 20 16 3:12' '1 5 20 16 3:9' '6 5 20 16 3:30' '6 5 20 16 3:1000' '1 1 20 16 3:1'; do
    check "a grid in chunks of ${form#*:}" packed grid.h5 "${form%:*}" copy in.h5:/image out.h5:/r --result 'u8[20,16,3]' --tile 20,16 \
        --compress gzip --compress-rows "${form#*:}"
done
map copy in.h5:/volume out.h5:/r --result 'i16[3,4,5]' --tile 3,4,5 && mv out.h5 grid.h5
for form in '1 2 3 3 4 5:7' '3 8 3 3 4 5:80'; do
    check "one of three dimensions in chunks of ${form#*:}" packed grid.h5 "${form%:*}" copy in.h5:/volume out.h5:/r \
        --result 'i16[3,4,5]' --tile 3,4,5 --compress gzip --compress-rows "${form#*:}"
done
if command -v mpirun >/dev/null; then
    rm -f out.h5
    check "three nodes compress an image" three_nodes half in.h5:/large out.h5:/r --result 'f32[10,8]' --tile 20,16 --stitch --compress gzip
    check "which is the same" /usr/bin/python3 packed.py out.h5 kept.h5 10 8
fi
for cut in '--stitch' ''; do
    map some in.h5:/image out.h5:/r --result 'u8[20,16,3]' --tile 20,16 $cut && mv out.h5 whole.h5
    touch fails
    rm -f out.h5
    map some in.h5:/image out.h5:/r --result 'u8[20,16,3]' --tile 20,16 $cut --compress gzip --compress-rows 7
    rm fails
    check "some tiles have failed ($cut)" grep -q '4 of 30 items failed' err
    timeout 100 "$bin/mpmap" map tiles.so:some in.h5:/image out.h5:/r --result 'u8[20,16,3]' --tile 20,16 $cut --compress gzip \
        --compress-rows 7 --resume --retry-failed --quiet >out 2>err </dev/null
    check "and are run again in a compressed file ($cut)" /usr/bin/python3 packed.py out.h5 whole.h5 \
        $([ "$cut" ] && echo 20 16 3 || echo 1 5 20 16 3)
done

# A filter that writes a byte into a file for each chunk that it is given back; it changes nothing.
cat >counting.c <<'C'
#include <H5PLextern.h>
#include <fcntl.h>
#include <unistd.h>
static size_t count(unsigned flags, size_t number, const unsigned values[], size_t size, size_t *room, void **buffer)
{
    int file;

    (void)number, (void)values, (void)room, (void)buffer;
    if (flags & H5Z_FLAG_REVERSE && (file = open("decoded", O_WRONLY | O_APPEND)) >= 0) {
        if (write(file, "", 1) != 1)
            size = 0;
        close(file);
    }
    return size;
}
static const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, 310, 1, 1, "counting", NULL, NULL, count};
H5PL_type_t H5PLget_plugin_type(void) { return H5PL_TYPE_FILTER; }
const void *H5PLget_plugin_info(void) { return &filter; }
C
if flags=$(pkg-config --cflags hdf5-serial 2>/dev/null) && mkdir filters &&
    cc -O1 -shared -fPIC $flags -o filters/libcounting.so counting.c 2>out; then
    export HDF5_PLUGIN_PATH=$PWD/filters
    /usr/bin/python3 -c 'import h5py, numpy as np
with h5py.File("counted.h5", "w") as f:
    f.create_dataset("d", data=np.random.random((1600, 1600)).astype("f4"), chunks=(100, 100), compression=310)' >out 2>&1
    # decodes MOST ARGUMENT…: of 256 chunks that many are decompressed by a map of two workers, or fewer.
    decodes()
    {
        local most=$1
        : >decoded
        rm -f out.h5
        timeout 100 "$bin/mpmap" map tiles.so:total counted.h5:/d out.h5:/r --quiet --workers 2 "${@:2}" >out 2>err </dev/null
        echo "$(stat -c %s decoded) chunks were decompressed" >>out
        [[ $(stat -c %s decoded) -le $most && $(stat -c %s decoded) -ge 256 ]]
    }
    check "chunks that four tiles share are decompressed once" decodes 270 --tile 50,50
    check "a tile's own chunk as well" decodes 256 --tile 100,100
    check "with margins it is few of them twice" decodes 800 --tile 50,50 --halo 4
    check "and all once where rows are columns" decodes 512 --axis 1
fi

# Several files, of which each has its own edges.
set=line
check "several files" map copy 'stack*.h5:/d' out.h5:/r --result 'f32[28,22]' --tile 20,16 --halo 4,3 --edge reflect
check "have their tiles one after the other" is 'np.concatenate([tiles(h5py.File(f"stack{k}.h5")["d"][()], (20, 16), (4, 3),
    "reflect").reshape(-1, 28, 22) for k in range(3)])'
check "which know where they stand" map place 'stack*.h5:/d' out.h5:/r --result 'i64[14]' --tile 20,16 --halo 4,3
check "in their file" is 'np.array([[n, 2] + [v for t, n, k, h, s in ((n // 3, 3, 20, 4, 50 + f), (n % 3, 3, 16, 3, 40)) for v in
    (t, n, t * k, min(k, s - t * k), max(0, h - t * k), h + min(s - t * k, k + h))] for f in range(3) for n in range(9)])'

# Reductions.
reduces()
{
    timeout 100 "$bin/mpmap" reduce tiles.so:total "in.h5:/$1" --quiet "${@:3}" >sum.txt 2>err </dev/null &&
        /usr/bin/python3 -c 'from cut import *
d = h5py.File("in.h5")["'"$1"'"][()].astype("f8")
have, want = float(open("sum.txt").read()), ('"$2"').sum()
sys.exit(bool(abs(have - want) > 1e-9 * want))' >out 2>&1
}
check "a reduction of tiles" reduces plane 'tiles(d, (20, 16), (4, 3), "reflect")' --tile 20,16 --halo 4,3 --edge reflect
check "along another axis" reduces plane 'd[:, 3:9]' --axis 1 --rows 3:9

# Rows along another axis.
check "columns" same plane 'f32[103]' 'd.T.copy()' --axis 1
check "planes in the middle" same volume 'i16[20,13]' 'd.transpose(1, 0, 2).copy()' --axis 1
check "the last axis, in chunks" same packed 'u8[103,70]' 'd.transpose(2, 0, 1).copy()' --axis 2
check "the first is what rows always are" same plane 'f32[70]' d --axis 0
check "some of them" same plane 'f32[103]' 'd.T[5:60:2].copy()' --axis 1 --rows 5:60:2

check "too many dimensions" refuses 'in.h5:/plane cannot be cut into tiles: 3 dimensions are to be cut, but it has 2' copy in.h5:/plane no.h5:/r --result f32 --tile 2,2,2
check "a value that the type cannot hold" refuses '300 is to stand beyond its edges, which its type u8 cannot hold' copy in.h5:/image no.h5:/r --result u8 --tile 2,2 --edge constant:300
check "an axis that there is not" refuses 'in.h5:/plane has no axis 2: it has 2 dimensions' copy in.h5:/plane no.h5:/r --result f32 --axis 2
check "tiles of nothing" refuses 'tiles of 0 elements' copy in.h5:/plane no.h5:/r --result f32 --tile 0,2
check "a word" refuses "--tile is '2,x', but must be 1 to 4 numbers like 256,256" copy in.h5:/plane no.h5:/r --result f32 --tile 2,x
check "another number of margins" refuses "--halo is '1,2,3', but must be one number, or one for each of the 2 in --tile" copy in.h5:/plane no.h5:/r --result f32 --tile 2,2 --halo 1,2,3
check "an edge that there is not" refuses "--edge is 'wrap', but must be none, reflect" copy in.h5:/plane no.h5:/r --result f32 --tile 2,2 --edge wrap
check "margins of rows" refuses '--halo is about tiles: give --tile with it' copy in.h5:/plane no.h5:/r --result f32 --halo 2
check "an image of numbers" refuses 'results of 0 dimensions cannot be stitched' copy in.h5:/plane no.h5:/r --result f32 --tile 2,2 --stitch
check "an image of some tiles" refuses 'only results of all tiles of one data set can be stitched' copy in.h5:/plane no.h5:/r --result 'f32[2,2]' --tile 2,2 --stitch --rows 1:3
check "nothing was made of these" test ! -e no.h5 -a ! -e no.h5.part
report
