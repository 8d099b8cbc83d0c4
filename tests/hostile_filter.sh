#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Filters of HDF5 that crash. One that does so as it is loaded costs a process that only tried it, and the map ends with a
# sentence; one that does so in a chunk costs the rows that are in it, of which each is blamed in its turn as the first
# that was being read, and no others. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py
flags=$(pkg-config --cflags hdf5-serial 2>/dev/null) || { echo "skipped, because there is no hdf5-serial to compile filters with"; exit 0; }

# Changes nothing; a chunk that begins with this number ends the process. So does being loaded where there is a file "bad".
cat >aborts.c <<'C'
#include <H5PLextern.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static size_t filter(unsigned flags, size_t number, const unsigned values[], size_t size, size_t *room, void **buffer)
{
    const float mark = 1e30f;

    (void)number, (void)values, (void)room;
    if (flags & H5Z_FLAG_REVERSE && size >= sizeof mark && !memcmp(*buffer, &mark, sizeof mark))
        abort();
    return size;
}
static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, 311, 1, 1, "aborts", NULL, NULL, filter};
H5PL_type_t H5PLget_plugin_type(void) { return H5PL_TYPE_FILTER; }
const void *H5PLget_plugin_info(void)
{
    if (!access("bad", F_OK))
        abort();
    return &class;
}
C
mkdir filters
cc -O1 -shared -fPIC $flags -o filters/libaborts.so aborts.c || exit 1
export HDF5_PLUGIN_PATH=$PWD/filters
/usr/bin/python3 -c 'import h5py, numpy as np
data = np.random.default_rng(31).random((400, 3)).astype("f4")
data[120, 0] = data[377, 0] = 1e30
with h5py.File("in.h5", "w") as f:
    f.create_dataset("d", data=data, chunks=(20, 3), compression=311)
    list = data[:, 0] # what chooses rows, says what they cost, or is compared
    f.create_dataset("list", data=list.view("u4").astype("i4"), chunks=(20,), compression=311)
    f.create_dataset("one", data=list, chunks=(20,), compression=311)
    f.create_dataset("plain", data=data)
    time = f.create_dataset("time", data=list, chunks=(20,), compression=311) # and what coordinates are
    time.make_scale("time")
    f.create_dataset("named", data=data).dims[0].attach_scale(time)
np.save("data", data)' || exit 1
task=$plugins/mean.so:mean
cat >sum.c <<'C'
#include <mpmap.h>
static void combine(void *state, const void *later, const void *context)
{
    (void)context;
    *(double *)state += *(const double *)later;
}
const mpm_task_description sum_description = {.result = "f64", .row = "f32"};
const mpm_reduction sum_reduction = {.combine = combine, .state_size = sizeof(double)};
int sum(mpm_call *call, const void *item, void *state)
{
    (void)call, (void)item;
    *(double *)state += 1;
    return 0;
}
C
cc -O1 -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o sum.so sum.c || exit 1

# Lists beside the rows, in whose chunks it crashes.
crashes_reading()
{
    local said="mpmap: $1 cannot be read: HDF5, or a filter of it, crashed by SIGABRT"
    shift
    ! timeout 100 "$bin/mpmap" "$@" --quiet >out 2>err </dev/null && [ "$(cat err)" = "$said" ]
}
for command in "map $task in.h5:/plain no.h5:/r" "reduce sum.so:sum in.h5:/plain"; do
    read -ra words <<<"$command"
    check "a list of rows: ${words[0]}" crashes_reading "--rows :/list" "${words[@]}" --rows :/list
    check "one of another file: ${words[0]}" crashes_reading "--rows in.h5:/list" "${words[@]}" --rows in.h5:/list
    check "a condition: ${words[0]}" crashes_reading "what --where '/one > 0' compares" "${words[@]}" --where "/one > 0"
done
check "costs" crashes_reading "--cost :/one" map $task in.h5:/plain no.h5:/r --cost :/one
keeps_crash()
{
    ! timeout 100 "$bin/mpmap" map $task in.h5:/named no.h5:/r --quiet >out 2>err </dev/null &&
        [ "$(cat err)" = "mpmap: coordinates or attributes of 'in.h5:/named' cannot be read: HDF5, or a filter of it, crashed by SIGABRT; --keep nothing leaves them out" ]
}
check "coordinates" keeps_crash
check "that makes nothing" test ! -e no.h5 -a ! -e no.h5.part

check "without them there is no such trouble" timeout 100 "$bin/mpmap" map $task in.h5:/named named.h5:/r --keep nothing --quiet

# Row 120 begins a chunk; row 377 does not, so what it holds is no mark.
deaths()
{
    rm -f out.h5
    ! timeout 100 "$@" "$bin/mpmap" map "$task" in.h5:/d out.h5:/r --quiet >out 2>err </dev/null
}
only_its_rows()
{
    /usr/bin/python3 -c 'import h5py, numpy as np, sys
d = np.load("data.npy").astype("f8")
with h5py.File("out.h5") as o:
    r, done = o["r"][()], o["r.done"][()]
want = ((d[:, 0] + d[:, 1]) + d[:, 2]) / 3
bad = np.zeros(400, bool)
bad[120:140] = True
want[bad] = 0
print(np.flatnonzero(done == 2))
sys.exit(not ((done == np.where(bad, 2, 1)).all() and np.array_equal(r, want)))' >>out 2>&1
}
check "a filter that crashes in a chunk fails rows" deaths env
check "and says which, and of what" grep -q 'mpmap: 20 of 400 items failed; the first is item 120: its worker was killed by SIGABRT (2 attempts)' err
check "they are those of its chunk" only_its_rows
if command -v mpirun >/dev/null; then
    check "on three nodes" deaths env MPMAP_RANKS_PER_NODE=1 mpirun -n 3
    check "they are the same" only_its_rows
fi
check "a reduction leaves them out" grep -qx 380 <(timeout 100 "$bin/mpmap" reduce sum.so:sum in.h5:/d --quiet --leaf 10 2>err)
check "and tells of them" grep -q '20 of 400 items failed; the first is item 120' err

touch bad
for command in "map $task in.h5:/d no.h5:/r" "map $task *.h5:/d no.h5:/r" "reduce sum.so:sum in.h5:/d"; do
    crashes()
    {
        ! timeout 100 "$bin/mpmap" "$@" --quiet >out 2>err </dev/null && [[ $(wc -l <err) -eq 1 ]] &&
            grep -q "^mpmap: '.*:/d' cannot be opened: HDF5, or a filter of it, crashed by SIGABRT$" err
    }
    read -ra words <<<"$command"
    check "one that crashes as it is loaded gets a sentence: ${words[0]} ${words[2]}" crashes "${words[@]}"
done
check "and makes nothing" test ! -e no.h5 -a ! -e no.h5.part
report
