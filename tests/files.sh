#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps and reductions over several files, as if they were one: by a pattern, or a list. The results are numpy's of all rows, in
# the order of the files, with few open files however many there are; a file that is another one than at the start ends the map.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
task=$plugins/mean.so:mean
cat >made.py <<'P'
import h5py, numpy as np, os
random = np.random.default_rng(17)
os.mkdir("runs")
for number in range(120):
    with h5py.File("runs/run%03d.h5" % number, "w") as f:
        rows = 0 if number in (0, 7, 119) else int(random.integers(1, 30))
        data = random.random((rows, 3)).astype(">f4" if number % 2 else "<f4")
        if number % 3:
            f["data"] = data
        else:
            f.create_dataset("data", data=data, chunks=(4, 3), maxshape=(None, 3), compression="gzip")
        f["mask"] = random.random(rows) < 0.4
        f["picks"] = random.integers(0, 900, min(rows, 5)).astype("<i4" if number % 2 else ">i4")
        f["seconds"] = random.random(rows).astype("<f8" if number % 2 else ">f8")
        f["table"] = np.zeros(rows, [("a", "i1"), ("x", "f4", 3)] if number % 2 else [("x", "f4", 3), ("b", "f8")])
        if rows:
            f["table"][...] = np.rec.fromarrays([np.zeros(rows), data] if number % 2 else [data, np.zeros(rows)],
                                                dtype=f["table"].dtype)
with h5py.File("wide.h5", "w") as f:
    f["data"] = np.zeros((3, 4), "f4")
P
/usr/bin/python3 made.py || exit 1

# is_mean CHOICE [FILES]: out.h5 has the means of the rows of all files that numpy chooses.
is_mean()
{
    /usr/bin/python3 -c 'import glob, h5py, numpy as np, sys
d = np.concatenate([h5py.File(name)["data"][()].astype("f8") for name in '"${2:-sorted(glob.glob(\"runs/*.h5\"))}"'])['"$1"']
with h5py.File("out.h5") as o:
    r = o["r"][()]
    sys.exit(not (r.shape == (len(d),) and np.array_equal(r, ((d[:, 0] + d[:, 1]) + d[:, 2]) / 3) and
                  bool((o["r.done"][()] == 1).all())))' >out 2>&1
}
# maps INPUT ARGUMENT…
maps()
{
    local input=$1
    shift
    rm -f out.h5
    timeout 100 "$bin/mpmap" map "$task" "$input" out.h5:/r --quiet "$@" >out 2>err </dev/null
}
maps_again()
{
    timeout 100 "$bin/mpmap" map "$task" 'runs/*.h5:/data' out.h5:/r --resume --quiet >out 2>err </dev/null &&
        grep -q 'out.h5 is finished: it has all ' err
}
refused()
{
    local part=$1
    shift
    ! maps "$@" && [[ $(wc -l <err) -eq 1 && $(cat err) == "mpmap: $part"* && ! -e out.h5 && ! -e out.h5.part ]]
}

check "a pattern" maps 'runs/*.h5:/data'
check "has the rows of all files" is_mean :
check "in small blocks" maps 'runs/*.h5:/data' --block-rows 3 --chunk 5
check "has them, too" is_mean :
ulimit -Sn 60
check "few files are open at a time" maps 'runs/*.h5:/data' --workers 2
check "and all is there" is_mean :
ls -r runs/run01?.h5 >list.txt
check "a list" maps @list.txt:/data
check "has its own order" is_mean : 'sorted(glob.glob("runs/run01?.h5"))[::-1]'
check "some of the rows" maps 'runs/*.h5:/data' --rows 5:1000:7
check "are counted over all files" is_mean 5:1000:7
all_of() { echo "np.concatenate([h5py.File(name)['$1'][()] for name in sorted(glob.glob('runs/*.h5'))])"; }
check "a mask in each" maps 'runs/*.h5:/data' --rows :/mask
check "is one of all rows" is_mean "$(all_of mask)"
check "lists in each" maps 'runs/*.h5:/data' --rows :/picks
check "count the rows of all" is_mean "$(all_of picks)"
check "a condition on a data set of each" maps 'runs/*.h5:/data' --where '/seconds > 0.5'
check "holds for rows of all" is_mean "$(all_of seconds).astype('f8') > 0.5"
check "costs in each" maps 'runs/*.h5:/data' --cost :/seconds
check "change nothing" is_mean :
check "costs of a mask are of its rows" refused "'runs/*.h5:/seconds' has " 'runs/*.h5:/data' --rows 1:100 --cost :/seconds
check "a field of each" maps 'runs/*.h5:/table.x'
check "is the same though compounds differ" is_mean :
check "several nodes" env MPMAP_RANKS_PER_NODE=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 bash -c '
    ulimit -Sn 1024; rm -f out.h5
    command -v mpirun >/dev/null || exec "$0" map "$1" "runs/*.h5:/data" out.h5:/r --quiet
    timeout 100 mpirun --oversubscribe -n 2 "$0" map "$1" "runs/*.h5:/data" out.h5:/r --quiet 2>&1' "$bin/mpmap" "$task"
check "have the same" is_mean :
check "the same map is finished" maps_again
check "no file of that pattern" refused "no file matches 'none/*.h5'" 'none/*.h5:/data'
check "a list that there is not" refused "the list of files 'none.txt' cannot be opened: " @none.txt:/data
: >empty.txt
check "one of no files" refused "the list of files 'empty.txt' is empty" @empty.txt:/data
printf 'runs/run001.h5\nmissing.h5\n' >list.txt
check "a file that is missing" refused "file missing.h5 does not exist" @list.txt:/data
printf 'runs/run001.h5\nwide.h5\n' >list.txt
check "rows that differ" refused \
    'wide.h5:/data has rows of f32[4], but those of runs/run001.h5 are f32[3]: rows of all files must be the same' @list.txt:/data
check "the output is none of them" bash -c '! "$0" map "$1" "runs/*.h5:/data" runs/run005.h5:/r --overwrite-file 2>err &&
    grep -q "runs/run005.h5 is the input file" err' "$bin/mpmap" "$task"

# A task knows where its row stands.
cat >where.c <<'C'
#include <mpmap.h>
#include <stdlib.h>
#include <string.h>
const mpm_task_description where_description = {.result = "f64", .row = "f32"};
int where(mpm_call *call, const void *item, void *result)
{
    const char *file;
    uint64_t row;

    (void)item;
    if (mpm_call_source(call, &file, &row) || file[0] != '/' || !strstr(file, "/runs/run"))
        return 1;
    *(double *)result = 1000 * atof(strstr(file, "/runs/run") + 9) + (double)row;
    return 0;
}
C
cc -O1 -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o where.so where.c || exit 1
rm -f out.h5
check "a task may ask where its row stands" timeout 100 "$bin/mpmap" map ./where.so:where 'runs/*.h5:/data' out.h5:/r --quiet \
    --rows 3:1700:5 --block-rows 4
check "and is told the file and the row in it" /usr/bin/python3 -c 'import glob, h5py, numpy as np, sys
want = [1000 * i + row for i, name in enumerate(sorted(glob.glob("runs/*.h5"))) for row in range(len(h5py.File(name)["data"]))]
sys.exit(not np.array_equal(np.array(want[3:1700:5], "f8"), h5py.File("out.h5")["r"][()]))'

# The rows of the first file change the last one while the map runs.
cat >meddle.c <<'C'
#include <fcntl.h>
#include <mpmap.h>
#include <stdlib.h>
#include <unistd.h>
const mpm_task_description meddle_description = {.result = "f64", .row = "f32"};
int meddle(mpm_call *call, const void *item, void *result)
{
    int file;

    (void)item;
    if (mpm_call_index(call) == 0) {
        if ((file = open("runs/run110.h5", O_WRONLY | O_APPEND)) < 0 || write(file, "more", 4) != 4 || close(file))
            return 1;
    }
    *(double *)result = 1;
    return 0;
}
C
cc -O1 -shared -fPIC -I "${2:-${MPMAP_SOURCE:?}}/lib/include" -o meddle.so meddle.c || exit 1
check "a file that changes ends the map" bash -c '! "$0" map ./meddle.so:meddle "runs/*.h5:/data" changed.h5:/r --quiet \
    --workers 1 --chunk 1 2>err && grep -q "run110.h5 has changed since the map began: " err && test -e changed.h5.part &&
    ! test -e changed.h5' "$bin/mpmap"
check "and resume tells it is another map" bash -c '! "$0" map ./meddle.so:meddle "runs/*.h5:/data" changed.h5:/r --quiet \
    --resume 2>err && grep -q "belongs to another map: the input" err' "$bin/mpmap"
report
