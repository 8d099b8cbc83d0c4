#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Virtual data sets whose sources are missing: HDF5 reads the fill value there and says nothing, so a map says it, and how
# many there are, or refuses them. They are looked for where HDF5 does. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
needs_h5py

cat >own.c <<'C'
#include <mpmap.h>
#include <string.h>
int own(mpm_call *call, const void *item, void *result)
{
    memcpy(result, item, mpm_call_item_size(call));
    return 0;
}
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    *(double *)state += *(const double *)later;
}
int sum(mpm_call *call, const void *item, void *state)
{
    (void)call;
    *(double *)state += *(const float *)item;
    return 0;
}
const mpm_reduction sum_reduction = {.state_size = sizeof(double), .combine = combine};
C
make_plugin own
cat >make.py <<'P'
import h5py, numpy as np
def virtual(f, name, length, pieces, **more):
    layout = h5py.VirtualLayout((length,), "f4")
    for at, (file, path) in enumerate(pieces):
        layout[5 * at : 5 * at + 5] = h5py.VirtualSource(file, path, (5,))
    f.create_virtual_dataset(name, layout, **more)
for n in range(4):
    with h5py.File(f"sub/s{n}%x.h5", "w") as f: f["d"] = np.full(5, n + 1, "f4")
with h5py.File("v.h5", "w") as f:
    f["own"] = np.zeros(5, "f4")
    virtual(f, "v", 20, [(f"sub/s{n}%%x.h5", "d") for n in range(4)], fillvalue=-9)
    virtual(f, "twice", 10, [("v.h5", "v"), ("./v.h5", "own")])
    virtual(f, "self", 10, [("v.h5", "own"), ("v.h5", "none")])
    virtual(f, "circle", 5, [(".", "circle")])
    virtual(f, "away", 5, [("/nowhere/away.h5", "d")])
    space = h5py.h5s.create_simple((0,), (h5py.h5s.UNLIMITED,))
    space.select_hyperslab((0,), (h5py.h5s.UNLIMITED,), (5,), (5,))
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_virtual(space, b"sub/n%b.h5", b"d", h5py.h5s.create_simple((5,)))
    h5py.h5d.create(f.id, b"numbered", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((0,), (h5py.h5s.UNLIMITED,)), made)
for n in range(2):
    with h5py.File(f"sub/n{n}.h5", "w") as f: f["d"] = np.full(5, n + 1, "f4")
with h5py.File("w.h5", "w") as f: virtual(f, "v", 5, [("sub/gone.h5", "d")])
with h5py.File("u.h5", "w") as f:
    virtual(f, "parts", 15, [("sub/s0%%x.h5", "d")] * 2 + [("sub/s0%%x.h5", "e")])
    virtual(f, "gone", 10, [("sub/gone1.h5", "d"), ("sub/gone2.h5", "d")])
with h5py.File("sub/x.h5", "w") as f: virtual(f, "v", 5, [("beside.h5", "d")])
with h5py.File("beside.h5", "w") as f: f["d"] = np.full(5, 8, "f4")
P
mkdir sub && /usr/bin/python3 make.py || exit 1
map() # IN OUT option…
{
    rm -f "$2"
    "$bin/mpmap" map own.so:own "$1" "$2:/r" --result f32 --quiet "${@:3}" >out 2>err </dev/null
    status=$?
}
says() { grep -qF -- "$1" err; }
says_nothing() { [ "$status" = 0 ] && [ ! -s err ]; }
looks() { grep -qF -- "$1" <("$bin/mpmap" look "$2"); }
is() { /usr/bin/python3 -c "import h5py, numpy as n; r = h5py.File('$1')['r'][()]; assert $2, r"; }

map v.h5:/v whole.h5
check "of what is all there nothing is said" says_nothing
check "its results are those of the sources" is whole.h5 '(r == n.repeat([1, 2, 3, 4], 5)).all()'
check "how many there are is shown" looks "virtual of 4 sources" v.h5
check "none is missing" eval '! grep -q "missing:.*sub" <("$bin/mpmap" look v.h5)'
check "even if all must be there" eval 'map v.h5:/v whole.h5 --no-missing; says_nothing'
mkdir elsewhere && mv sub/s2%x.h5 elsewhere
map v.h5:/v part.h5
check "one that is missing is told" says "mpmap: sources of 'v.h5:/v' are missing, 1 of 4, which read as the fill value: sub/s2%x.h5 does not exist"
check "and the rest is as it was" is part.h5 '(r == n.repeat([1, 2, -9, 4], 5)).all()'
check "it is shown" looks "missing: 1 of 4 sources, which read as the fill value: sub/s2%x.h5 does not exist" v.h5
check "also to programs" grep -q '"missing_sources": 1, "missing_first": "sub/s2%x.h5 does not exist"' <("$bin/mpmap" look v.h5 --json)
map v.h5:/v none.h5 --no-missing
check "it is refused, if that is wanted" eval '[ "$status" = 1 ] && says "1 of 4, which --no-missing refuses: sub/s2%x.h5 does not exist"'
check "and nothing is made" [ ! -e none.h5 ]
map v.h5:/twice twice.h5
check "a source of a source" says "'v.h5:/twice' are missing, 1 of 6, which"
map '[vw].h5:/v' both.h5
check "in one of several files" says "are missing, 2 of 5, which"
map v.h5:/v,/v zip.h5 --result 'f32[2]'
check "in one of several data sets" eval 'says "2 of 8, which" && map v.h5:/self zip.h5; says "1 of 2, which read as the fill value: the file itself has no data set none"'
map u.h5:/parts parts.h5
check "parts of one source are of one" says "'u.h5:/parts' are missing, 1 of 2, which read as the fill value: sub/s0%x.h5 has no data set e"
map u.h5:/gone gone.h5
check "the first of them is named" says "2 of 2, which read as the fill value: sub/gone1.h5 does not exist"
map sub/x.h5:/v beside.out
check "they may be in the folder where mpmap is started" eval 'says_nothing && is beside.out "(r == 8).all()"'
check "a data set in a circle ends" looks "/circle" v.h5
map v.h5:/numbered numbered.h5
check "with numbers in names of files it ends where they do" eval 'says_nothing && is numbered.h5 "(r == n.repeat([1, 2], 5)).all()"'
"$bin/mpmap" reduce own.so:sum v.h5:/v --result f64 --quiet >out 2>err
check "a reduction says it, too" eval 'says "1 of 4, which read" && [ "$(cat out)" = -10 ]'
"$bin/mpmap" reduce own.so:sum v.h5:/v --result f64 --quiet --no-missing >out 2>err
check "and can refuse it" eval 'says "1 of 4, which --no-missing" && [ ! -s out ]'
mkdir elsewhere/sub && mv elsewhere/s2%x.h5 elsewhere/sub
HDF5_VDS_PREFIX=/nowhere:$PWD/elsewhere map v.h5:/v found.h5
check "they may be where a variable says" eval 'says_nothing && is found.h5 "(r == n.repeat([1, 2, 3, 4], 5)).all()"'
HDF5_VDS_PREFIX='${ORIGIN}/elsewhere' map v.h5:/v found.h5
check "also from the folder of the file" eval 'says_nothing && is found.h5 "(r == n.repeat([1, 2, 3, 4], 5)).all()"'
printf x >away.h5
map v.h5:/away away.out
check "one that is no HDF5 file" says "1 of 1, which read as the fill value: "
/usr/bin/python3 -c "import h5py; h5py.File('away.h5', 'w')['d'] = [7.] * 5"
map v.h5:/away away.out
check "an absolute one is looked for beside the file" eval 'says_nothing && is away.out "(r == 7).all()"'

# look_in_root OPTION…: with a root folder of its own, which has besides what the machine's has of folders and links.
look_in_root()
{
    unshare -m bash -c 'root=$1 && cd / || exit
        for entry in *; do
            if [ -L "$entry" ]; then cp -P "$entry" "$root"; continue; fi
            [ ! -d "$entry" ] || { mkdir -p "$root/$entry" && mount --rbind "/$entry" "$root/$entry"; } || exit
        done
        exec chroot "$root" sh -c "cd /usr && exec \"\$@\"" "${@:2}"' sh "$PWD/root" sh "$bin/mpmap" look "$@"
}
mkdir root && cp -r [vw].h5 sub elsewhere/sub root
what="those of a file in the root folder are looked for there"
if look_in_root /w.h5 >out 2>err; then
    check "$what" eval 'look_in_root /v.h5 >out; grep -q "virtual of 4" out && ! grep -q "missing:.*sub" out'
else
    skip "$what" "$(cat err)"
fi
report
