#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Tasks that take several rows in one call: results are those of one row a call, and a row that fails or crashes costs
# itself only, also after a kill, on several nodes and with values of variable length. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
needs_h5py

cat >sums.c <<'C'
#include <stdio.h>
#include "noted.h"

/* How many rows a call has, a line each: as it begins. */
static bool is_noted(mpm_call *call)
{
    char line[32];

    snprintf(line, sizeof line, "%3zu\n", mpm_call_rows(call));
    return noted_as(call, line, getenv("HOLDS"));
}

const mpm_task_description sums_description = {.result = "f64", .row = "i64", .rows = 16};
int sums(mpm_call *call, const void *item, void *result)
{
    const char *crashes = getenv("CRASHES"), *fails = getenv("FAILS"), *hangs = getenv("HANGS");
    size_t count = mpm_call_rows(call), numbers = mpm_call_item_size(call) / sizeof(int64_t);
    const int64_t *in = item;
    double *out = result;

    if (!is_noted(call))
        return 1;
    for (size_t i = 0; i < count; i++, in += numbers, out++) {
        if (crashes && *in % atoi(crashes) == 0)
            abort();
        if (hangs && *in % atoi(hangs) == 0)
            pause();
        if (fails && *in % atoi(fails) == 0)
            return mpm_fail(call, "no %d", (int)*in);
        *out = 0;
        for (size_t k = 0; k < numbers; k++)
            *out += (double)in[k];
    }
    return mpm_call_index(call) == (size_t)*(const int64_t *)item / 3 ? 0 : mpm_fail(call, "another index");
}

const mpm_task_description texts_description = {.result = "text", .row = "i64", .rows = 10};
int texts(mpm_call *call, const void *item, void *result)
{
    const int64_t *in = item;
    mpm_vlen *out = result;
    char text[40];

    for (size_t i = 0; i < mpm_call_rows(call); i++) {
        snprintf(text, sizeof text, "row %d", (int)in[3 * i]);
        if (mpm_vlen_put(call, text, strlen(text) + (in[3 * i] == 60), &out[i]))
            return 1;
    }
    return 0;
}

const mpm_task_description one_description = {.result = "f64", .row = "i64"};
int plain(mpm_call *call, const void *item, void *result) { return sums(call, item, result); }
int one(mpm_call *call, const void *item, void *result) { return sums(call, item, result); }
C
make_plugin sums
/usr/bin/python3 - <<'P' || exit 1
import h5py, numpy as np
with h5py.File("in.h5", "w") as f:
    f["data"] = np.arange(3000).reshape(1000, 3)
    f["lists"] = np.array(["a", "bc"], object)
    f["cost"] = np.arange(1000.0)
P
launcher=(env)
map() # OUT option…
{
    rm -f calls
    timeout 100 "${launcher[@]}" "$bin/mpmap" map sums.so:sums in.h5:/data "$1:/r" --quiet "${@:2}" >out 2>err </dev/null
}
# is OUT [EVERY]: sums, of which rows whose first number is a multiple of that have failed
is()
{
    /usr/bin/python3 -c 'import h5py, numpy as np, sys
every = int(sys.argv[2]) if len(sys.argv) > 2 else 0
n = np.arange(3000).reshape(1000, 3)
bad = n[:, 0] % every == 0 if every else n[:, 0] < 0
with h5py.File(sys.argv[1]) as f:
    assert np.array_equal(f["r"][()], np.where(bad, 0, n.sum(axis=1)))
    assert np.array_equal(f["r.done"][()], np.where(bad, 2, 1))
    assert not bad.any() or np.array_equal(f["r.failed/row"][()], np.flatnonzero(bad))' "$@" >>out 2>&1
}
says() { grep -qF -- "$1" err; }
fails() { ! "$@"; }
largest() { sort -n calls | tail -n 1 | tr -d ' '; }

check "rows go together" map out.h5 --chunk 100
check "and are right" is out.h5
check "at most as many as the task takes" [ "$(largest)" = 16 ]
check "the last ones of a claim are fewer" grep -qx '  4' calls
map one.h5 --rows-per-call 1
check "one row a call gives the same" h5diff one.h5 out.h5
check "for it is one" [ "$(largest)" = 1 ]
map many.h5 --rows-per-call 300 --chunk 1000
check "more may go together" [ "$(largest)" = 300 ]
check "are the same" h5diff one.h5 many.h5
map read.h5 --block-rows 7 --chunk 100
check "no more than are read together" [ "$(largest)" = 7 ]
check "are the same, too" h5diff one.h5 read.h5
map costs.h5 --cost :/cost
check "with costs rows come one by one" [ "$(largest)" = 1 ]
check "and are the same" h5diff one.h5 costs.h5

# Rows that fail, crash and hang. 100 rows are a claim, of which 16 go together.
export FAILS=333
check "rows fail" fails map failed.h5 --chunk 100
check "and no others" is failed.h5 333
check "they were run in calls of several first" grep -qx ' 16' calls
unset FAILS
export CRASHES=999
for attempts in 1 2; do
    check "rows crash, with $attempts attempts" fails map crashed.h5 --chunk 100 --attempts $attempts --workers 2 --overwrite
    check "and no others ($attempts)" is crashed.h5 999
    check "each was tried so often ($attempts)" says "its worker was killed by SIGABRT ($attempts attempt"
done
if command -v mpirun >/dev/null; then
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
    check "on three nodes" fails map nodes.h5 --chunk 50
    check "it is the same" is nodes.h5 999
    launcher=(env)
fi
unset CRASHES
export HANGS=1500
check "rows hang" fails map hung.h5 --chunk 200 --timeout 1 --attempts 1 --workers 2
check "and no others" is hung.h5 1500
unset HANGS

# Killed.
call_size=4
killed() # option…
{
    rm -rf out.h5 out.h5.part*
    killed_at 20 "$bin/mpmap" map sums.so:sums in.h5:/data out.h5:/r --chunk 32 --workers 3 --quiet "$@"
}
killed
good=$("$bin/mpmap" status out.h5 | sed -n 's/.*: \([0-9]*\) of 1000.*/\1/p')
check "a run that is killed has rows ($good)" [ "$good" -ge 100 ]
map out.h5 --resume --chunk 32
check "it goes on to the same" cmp one.h5 out.h5
check "and runs no good row again" [ "$(awk '{ n += $1 } END { print n }' calls)" = $((1000 - good)) ]
killed --join
map out.h5 --join --join-timeout 3
check "so does one that had joined" cmp one.h5 out.h5

check "values of variable length go together" fails timeout 100 "$bin/mpmap" map sums.so:texts in.h5:/data texts.h5:/r --chunk 100 --quiet 2>err
check "one that is no text costs its row" /usr/bin/python3 -c 'import h5py
with h5py.File("texts.h5") as f:
    assert list(f["r"].asstr()) == ["" if n == 20 else f"row {3 * n}" for n in range(1000)] and list(f["r.failed/row"]) == [20]'

# What cannot be.
refuses() { local part=$1; shift; ! timeout 100 "$bin/mpmap" map "$@" --quiet >out 2>err && says "$part" && [ ! -e no.h5 ]; }
check "a task of one row has no several" refuses 'one takes one row a call: one_description has no rows' \
    sums.so:one in.h5:/data no.h5:/r --rows-per-call 8
check "rows of variable length come alone" refuses 'rows of /lists have a variable length, so a call has one' \
    sums.so:plain in.h5:/lists no.h5:/r --result f64 --rows-per-call 8
"$bin/mpmap" look in.h5 sums.so >look
check "mpmap look tells how many" grep -q 'sums (up to 16 rows a call)' look
"$bin/mpmap" map "$plugins/cosine.so:cosine" in.h5:/data no.h5:/r --quiet 2>err
check "cosine wants rows of 64" says 'cosine takes rows of f32[64]'
/usr/bin/python3 -c 'import h5py, numpy as np
with h5py.File("cosine.h5", "w") as f: f["d"] = np.random.default_rng(3).random((1000, 64), "f4")'
for n in 1 256; do "$bin/mpmap" map "$plugins/cosine.so:cosine" cosine.h5:/d cosine$n.h5:/r --rows-per-call $n --quiet; done
check "it gives the same bits one by one" cmp cosine1.h5 cosine256.h5
check "which are right" /usr/bin/python3 -c 'import h5py, numpy as np
x, y = h5py.File("cosine.h5")["d"][()], h5py.File("cosine1.h5")["r"][()]
i, k = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
m = np.cos(np.pi / 64 * (i + 0.5) * k) * np.sqrt(np.where(k == 0, 1, 2) / 64)
assert np.allclose(x @ m, y, atol=1e-4)'
report
