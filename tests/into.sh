#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Results go into a file that exists (--into), and all else in it stays: with the coordinates that are there, into the
# input itself, in place of old results, compressed. Until they are all in it the file is the old one, to the byte: runs die
# before steps on the disk, and others go on. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/step_deaths.sh"
needs_h5py

cat >sum.c <<'C'
#include "noted.h"

struct several {
    double sum;
    float first;
};
const mpm_task_description sum_description = {.result = "f64", .row = "f32[3]"};
int sum(mpm_call *call, const void *item, void *result)
{
    const float *row = item;

    if (!noted(call))
        return 1;
    *(double *)result = (double)row[0] + row[1] + row[2];
    if (getenv("FAILS") && (int)row[0] == 30)
        return mpm_fail(call, "30 fails");
    return 0;
}
const mpm_task_description several_description = {.result = "{f64 sum, f32 first}", .row = "f32[3]"};
int several(mpm_call *call, const void *item, void *result)
{
    struct several *several = result;

    several->first = ((const float *)item)[0];
    return sum(call, item, &several->sum);
}
C
make_plugin sum
cat >make.py <<'P'
import h5py, numpy as np
with h5py.File("in.h5", "w") as f:
    f["data"] = np.arange(600, dtype="f4").reshape(200, 3)
    f["time"] = np.arange(200) / 4
    f["time"].make_scale("time"); f["time"].attrs["units"] = "s"
    f["data"].dims[0].attach_scale(f["time"])
for name, block in (("there.h5", 0), ("block.h5", 1024)):
    with h5py.File(name, "w", userblock_size=block) as f:
        f.attrs["whose"] = "mine"
        f["a/mine"] = np.arange(5000); f["a/mine"].attrs["units"] = "m"
        f.create_dataset("packed", data=np.arange(9000).reshape(90, 100), compression="gzip", chunks=(7, 11))
        f["a/texts"] = ["one", "zwei", "три"]
        f["link"] = h5py.SoftLink("/a/mine"); f["out"] = h5py.ExternalLink("elsewhere.h5", "/x")
P
/usr/bin/python3 make.py || exit 1
cat >right.py <<'P'
# right.py FILE NAME [several|gzip|failed]: all that was there is there, and the results are numpy's.
import h5py, numpy as np, sys
name, dataset = sys.argv[1:3]
how = sys.argv[3] if len(sys.argv) > 3 else ""
def mine(f):
    found = {}
    def visit(n, o):
        found[n] = (o[()].tolist(), dict(o.attrs), o.chunks) if isinstance(o, h5py.Dataset) else dict(o.attrs)
    for n in ("a/mine", "packed", "a/texts"): visit(n, f[n])
    return found, dict(f.attrs), f.get("link", getlink=True).path, f.get("out", getlink=True).path, f.userblock_size
with h5py.File(name) as f, h5py.File(name + ".old") as old, h5py.File("in.h5") as i:
    if name != "in.h5":
        assert mine(f) == mine(old), "something else has changed"
    d = i["data"][()].astype("f8")
    want = d.sum(1)
    if how == "failed": want[10] = 0
    r = f[dataset]["sum"] if how == "several" else f[dataset]
    assert np.array_equal(r[()], want), r[()]
    assert r.compression == ("gzip" if how == "gzip" else None)
    scale = r.dims[0][0]
    assert np.array_equal(scale[()], np.arange(200) / 4) and scale.attrs["units"] == "s"
    if how == "several": assert np.array_equal(f[dataset]["first"], d[:, 0].astype("f4"))
    done = f[dataset + ".done"][()]
    assert (done == 1).sum() == 200 - (how == "failed")
    if how == "failed": assert list(f[dataset + ".failed/row"]) == [10]
    for name in f: # a list of users names nobody who is gone
        o = f.get(name) if name != "out" else None
        if o is not None and "REFERENCE_LIST" in o.attrs:
            for user, _ in o.attrs["REFERENCE_LIST"]: assert f[user].name, user
P
is_right() { /usr/bin/python3 right.py "$@"; }
launcher=(env)
map() # TASK OUT option…
{
    "${launcher[@]}" "$bin/mpmap" map sum.so:"$1" in.h5:/data "$2" --chunk 5 --workers 2 --quiet "${@:3}" >out 2>err </dev/null
    status=$?
}
says() { grep -qF -- "$1" err; }
nothing_beside() { [ -z "$(ls -d "$1".part* 2>/dev/null)" ]; }
anew() { cp "$1" "$2" && cp "$1" "$2.old"; }
chmod 640 there.h5

# 1. What goes in, and what stays.
anew there.h5 out.h5
map sum out.h5:/a/sum --into
check "results go into a group that is there" is_right out.h5 a/sum
check "with the mode of the file" [ "$(stat -c %a out.h5)" = 640 ]
check "and nothing is left beside it" nothing_beside out.h5
map several out.h5:/a/both --into
check "several results, too" is_right out.h5 a/both several
check "and the first ones are as they were" is_right out.h5 a/sum
is_one_scale() { /usr/bin/python3 -c '
import h5py
f = h5py.File("out.h5"); t = f["a/time"]
assert not [n for n in f["a"] if n.startswith("time_")], list(f["a"])
assert f["a/sum"].dims[0][0] == t and f["a/both.done"].dims[0][0] == t and len(t.attrs["REFERENCE_LIST"]) == 3'; }
check "coordinates that are there already are used" is_one_scale
map sum out.h5:/a/sum --into
check "results that are there are not replaced" says 'out.h5 has /a/sum already: choose another name, or replace that (--overwrite'
map sum out.h5:/a/mine --into
check "nor is anything else" says 'out.h5 has /a/mine already'
rm -f calls
map sum out.h5:/a/sum --into --resume
check "a map that is finished does nothing" says 'out.h5 is finished: it has all 200 rows'
check "at all" [ ! -e calls ]
FAILS=1 map sum out.h5:/a/sum --into --overwrite
check "unless that is wanted" is_right out.h5 a/sum failed
check "coordinates stay in use" is_one_scale
map sum out.h5:/a/sum --into --resume --retry-failed
check "rows that failed are run again in it" is_right out.h5 a/sum
check "and none is listed any more" /usr/bin/python3 -c 'import h5py; assert "a/sum.failed" not in h5py.File("out.h5")'
map sum out.h5:/a/mine/sum --into
check "a data set is no group" says 'out.h5:/a/mine is not a group, so /a/mine/sum cannot stand in it'
map sum out.h5:/b/c/sum --into --compress gzip --compress-rows 30
check "compressed, in groups that are new" is_right out.h5 b/c/sum gzip
anew block.h5 block2.h5
map sum block2.h5:/a/sum --into
check "a file whose first bytes are its user's" is_right block2.h5 a/sum
cp in.h5 in.h5.old
map sum in.h5:/sums --into
check "the input itself" is_right in.h5 sums
check "which has its own coordinates" /usr/bin/python3 -c '
import h5py
f = h5py.File("in.h5"); assert f["sums"].dims[0][0] == f["time"] and set(f) == {"data", "time", "sums", "sums.done"}'
map sum in.h5:/sums --into --resume
check "a map that is finished in it does nothing" says 'in.h5 is finished'
mv in.h5.old in.h5
rm -f new.h5
map sum new.h5:/sum --into
map sum plain.h5:/sum
check "a file that is not there is made" cmp new.h5 plain.h5

# 2. What cannot be.
wrong() # WHAT SENTENCE option…
{
    cp out.h5 before.h5
    map sum "${@:3}"
    check "$1" says "$2"
    check "$1: the file is as it was" cmp out.h5 before.h5
}
wrong "replacing all of it" '--overwrite-file) does not: leave one of them out' out.h5:/x --into --overwrite-file
wrong "joining" '--join and --into do not go together' out.h5:/x --into --join
echo text >text.h5
map sum text.h5:/x --into
check "no HDF5 file" says 'text.h5 is not an HDF5 file'
check "stays" [ "$(cat text.h5)" = text ]
ln -s out.h5 link.h5
map sum link.h5:/x --into
check "a link" says 'link.h5 is a symbolic link'
coproc writer { /usr/bin/python3 -c '
import h5py
f = h5py.File("out.h5", "a"); print("open", flush=True); input()'; }
read -r _ <&"${writer[0]}"
wrong "a file that is being written" 'out.h5 is open for writing, so results cannot be added' out.h5:/x --into
echo >&"${writer[1]}"
wait

# 3. A run that dies before steps of main on the disk, and one that goes on. The file is the old one, or has all results.
step_is_survived() # N
{
    local is_old=old
    anew there.h5 killed.h5
    rm -f killed.h5.part* calls
    dies_before "$1" map sum killed.h5:/a/sum --into || return 1
    cmp -s killed.h5 there.h5 || is_old=
    [ "$is_old" ] || is_right killed.h5 a/sum || count "a death before step $1 has left half of the results" 1
    olds=$((olds + ${#is_old} / 3))
    map sum killed.h5:/a/sum --into --resume
    [ "$status" = 0 ] && is_right killed.h5 a/sum && nothing_beside killed.h5 && [ "$(calls)" -le 210 ] ||
        count "a death before step $1 is survived: status $status, $(ls killed.h5* | tr '\n' ' ')" 1
}
olds=0
if try_steps "${MPMAP_OUTPUT_STRIDE:-5}"; then
    check "most of them left the old file ($olds)" [ $((2 * olds)) -gt $steps ]
fi

# A file that changes while the map runs keeps what has come into it.
anew there.h5 changing.h5
cat >hold.sh <<'S'
until [ -e calls ]; do :; done
/usr/bin/python3 -c "
import h5py
with h5py.File('changing.h5', 'a') as f: f['late'] = 7"
S
rm -f calls
MPMAP_TEST_MARK=$mark bash hold.sh &
"$bin/mpmap" map sum.so:sum in.h5:/data changing.h5:/a/sum --into --chunk 1 --workers 1 --quiet >out 2>err </dev/null
status=$?
wait
check "a file that has changed meanwhile, or is just being changed" [ "$status" = 0 -o -e changing.h5.part ]
[ "$status" = 0 ] || map sum changing.h5:/a/sum --into --resume
check "gets its results" is_right changing.h5 a/sum
report
