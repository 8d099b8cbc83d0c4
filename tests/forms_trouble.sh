#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every form of an input, a choice and an output survives what plain rows do: the whole run is killed in the middle and goes
# on, running no more again than was in flight, and two runs that have joined do it together, each item once. Either way the
# output is that of a run that nobody has disturbed. A form is a line of the table below. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
end_all_at_exit
cat >made.py <<'P'
import h5py, numpy as np
random = np.random.default_rng(23)
with h5py.File("in.h5", "w") as f:
    f["plain"] = random.random((60, 3)).astype("f4")
    f["numbers"] = np.arange(60.)
    f.create_dataset("packed", data=random.random((60, 5)), chunks=(7, 2), compression="gzip", shuffle=True)
    f["matrix"] = random.random((24, 40)).astype("f4")
    table = np.zeros(60, [("n", ">i4"), ("x", "f8"), ("s", "S3")])
    table["n"], table["x"] = range(60), random.random(60)
    f["table"] = table
    records = np.zeros(60, [("n", "i4"), ("name", h5py.string_dtype()), ("list", h5py.vlen_dtype("f4"))])
    for n in range(60):
        records[n] = n, "text %d" % n * (n % 3), np.arange(n % 5, dtype="f4")
    f["records"] = records
    f["texts"] = ["text %d" % n * (n % 4) for n in range(60)]
    f["some"] = random.permutation(60)[:40]
for k in range(3):
    with h5py.File(f"part{k}.h5", "w") as f:
        f["numbers"] = random.random(20)
P
/usr/bin/python3 made.py || exit 1

# Each call leaves a byte in `calls`, and the calls after HOLDS wait for the file go_on. Results tell the item's bytes.
cat >task.c <<'C'
#include "noted.h"
const mpm_task_description structs_description = {.result = "u64[2]", .row = "{f64 x, i32 n}"};
int digest(mpm_call *call, const void *item, void *result)
{
    const unsigned char *byte = item;
    uint64_t *words = result;

    if (!noted(call))
        return 1;
    words[0] = mpm_call_item_size(call);
    words[1] = 14695981039346656037u;
    for (size_t i = 0; i < words[0]; i++)
        words[1] = (words[1] ^ byte[i]) * 1099511628211u;
    if (getenv("FAILS") && words[1] % 5 == 0)
        return mpm_fail(call, "the digest is %llu", (unsigned long long)words[1]);
    return 0;
}
const mpm_task_description records_description = {.result = "u64[2]", .row = "{text name, i32 n, f32[] list}"};
int records(mpm_call *call, const void *item, void *result)
{
    const struct { mpm_span name; int32_t n; mpm_span list; } *record = item;
    uint64_t *words = result;
    const unsigned char *byte = record->list.at;

    words[0] = record->name.size + (uint64_t)record->n + *(const unsigned char *)record->name.at;
    words[1] = 0;
    for (size_t i = 0; i < record->list.size; i++)
        words[1] = words[1] * 31 + byte[i];
    return !noted(call);
}
int structs(mpm_call *call, const void *item, void *result) { return digest(call, item, result); }
int negative(mpm_call *call, const void *item, void *result)
{
    const float *in = item;

    for (int i = 0; i < 12; i++)
        ((float *)result)[i] = -in[i];
    return !noted(call);
}
C
make_plugin task

# One run of the form that `form` holds.
map() # OUT.h5 option…
{
    local out=$1
    shift
    timeout 200 "$bin/mpmap" map "task.so:${form[0]}" "${form[1]}" "$out:/r" --result "${form[2]}" "${form[@]:3}" \
        --chunk 1 --workers 2 --quiet "$@" </dev/null
}
start() # NAME option…: in the background
{
    local name=$1
    shift
    MPMAP_TEST_MARK=$mark map out.h5 "$@" >"$name.out" 2>"$name.err" &
    pid=$!
}
has_called() { [ "$(calls)" -ge "$1" ]; }
status_is() { [ "$status" = "$1" ]; }
no_more_than() { [ "$(calls)" -le "$1" ]; }
is_alone() { [ -z "$(ls -d out.h5.* 2>/dev/null)" ]; }
same() { h5diff whole.h5 out.h5 >out 2>&1 && is_alone; }

# form WHAT ITEMS STATUS TASK INPUT RESULT option…
form()
{
    local what=$1 items=$2 wanted=$3 runs
    shift 3
    form=("$@")
    rm -rf out.h5* whole.h5 calls go_on
    map whole.h5 >out 2>err
    status=$?
    check "$what: an undisturbed run" status_is "$wanted"
    check "$what: $items items, each once ($(calls))" test "$(calls)" = "$items"

    rm calls
    HOLDS=$((items / 2)) start killed
    check "$what: half is done" wait_for 60 has_called $((items / 2 + 2))
    kill -KILL $(tree "$pid") 2>/dev/null
    wait "$pid" 2>/dev/null
    wait_for 60 no_process_is_left
    check "$what: a kill leaves a part" test -f out.h5.part -a ! -e out.h5
    map out.h5 --resume >out 2>err
    check "$what: it goes on" status_is "$wanted"
    check "$what: nothing runs again but what was in flight ($(calls))" no_more_than $((items + 2))
    check "$what: to the same output" same

    rm -rf out.h5* calls
    runs=()
    for name in a b; do
        HOLDS=$((items / 2)) start $name --join
        runs+=("$pid")
    done
    wait_for 60 has_called $((items / 2 + 2))
    touch go_on
    for pid in "${runs[@]}"; do
        wait "$pid"
        status=$?
        cat ./*.err >err
        check "$what: a run that has joined ends" status_is "$wanted"
    done
    check "$what: both do each item once ($(calls))" test "$(calls)" = "$items"
    check "$what: and the same output" same
}

export OMPI_MCA_btl_base_warn_component_unused=0
form "plain rows" 60 0 digest in.h5:/plain 'u64[2]'
form "compressed input" 60 0 digest in.h5:/packed 'u64[2]'
form "a range" 25 0 digest in.h5:/plain 'u64[2]' --rows 5:55:2
form "a list" 40 0 digest in.h5:/plain 'u64[2]' --rows :/some
form "costs" 60 0 digest in.h5:/plain 'u64[2]' --cost :/numbers
form "a condition" 39 0 digest in.h5:/numbers 'u64[2]' --where 'row > 20'
form "structs" 60 0 structs in.h5:/table 'u64[2]'
form "a field" 60 0 digest in.h5:/table.s 'u64[2]'
form "texts" 60 0 digest in.h5:/texts 'u64[2]'
form "structs with texts" 60 0 records in.h5:/records 'u64[2]'
form "side by side" 60 0 digest in.h5:/plain,/table.x 'u64[2]'
form "several files" 60 0 digest 'part*.h5:/numbers' 'u64[2]'
form "another axis" 40 0 digest in.h5:/matrix 'u64[2]' --axis 1
form "tiles" 32 0 digest in.h5:/matrix 'u64[2]' --tile 6,5 --halo 2,1 --edge reflect
form "an image" 80 0 negative in.h5:/matrix 'f32[3,4]' --tile 3,4 --stitch
form "named results" 60 0 digest in.h5:/plain '{u64 size, u64 digest}'
form "compressed results" 60 0 digest in.h5:/plain 'u64[2]' --compress gzip --compress-rows 16
export FAILS=1
form "failed rows" 60 1 digest in.h5:/plain '{u64 size, u64 digest}' --fill digest=7
form "much at once" 53 1 digest 'part*.h5:/numbers' '{u64 size, u64 digest}' --where 'row > 0.05' \
    --rows 1: --compress gzip
report
