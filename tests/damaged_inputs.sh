#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Flipped bits and cut ends of inputs, in all forms that an input has: tiles, another axis, lists, conditions, structs,
# variable length, several sets and several files. Whatever HDF5 makes of the damage, a map ends well or says why not, and
# leaves nothing half written. Arguments: folder of mpmap, folder of the sources, how many damages (MPMAP_DAMAGES, 40 if not
# set), a seed (by the clock). soak.sh does 1000. Last line: "N passed, N failed".
set -uo pipefail

source_folder=$(cd "${2:-${MPMAP_SOURCE:?}}" && pwd)
. "$source_folder/tests/support/data_sets.sh"
needs_h5py
damages=${3:-${MPMAP_DAMAGES:-40}}
seed=${4:-$((EPOCHSECONDS % 30000))}
cat >made.py <<'P'
import h5py, numpy as np
def make(name, seed, **how):
    random = np.random.default_rng(seed)
    with h5py.File(name, "w", **how) as f:
        f["plain"] = random.random((60, 3)).astype("f4")
        f["numbers"] = random.permutation(np.arange(60.))
        f.create_dataset("packed", data=random.random((60, 5)), chunks=(7, 2), maxshape=(None, 5), compression="gzip", shuffle=True)
        f["matrix"] = random.random((24, 40)).astype("f4")
        table = np.zeros(60, [("n", ">i4"), ("x", "f8"), ("s", "S3")])
        table["n"], table["x"] = range(60), random.random(60)
        f.create_dataset("table", data=table, chunks=(16,), fletcher32=True)
        f["texts"] = ["text %d" % n * (n % 4) for n in range(60)]
        rows = f.create_dataset("ragged", (60,), h5py.vlen_dtype("i4"))
        for n in range(0, 60, 3):
            rows[n] = range(n)
        nested = np.zeros(60, [("text", h5py.string_dtype()), ("v", "f4", (2, 2))])
        nested["text"] = "a text"
        f["nested"] = nested
        f["some"] = random.permutation(60)[:40]
        f["mask"] = random.random(60) < 0.5
        f.create_dataset("outside", (4,), "f4", external=[("outside.bin", 0, 16)])
        layout = h5py.VirtualLayout((60,), "f8")
        layout[:] = h5py.VirtualSource(".", "numbers", (60,))
        f.create_virtual_dataset("virtual", layout)
for seed, twin in ((29, ""), (31, "twin")):
    make(twin + "base_old.h5", seed)
    make(twin + "base_new.h5", seed, libver="latest")
for k in (0, 2):
    with h5py.File(f"part{k}.h5", "w") as f:
        f["numbers"] = np.arange(60.)
P
/usr/bin/python3 made.py && head -c 16 /dev/zero >outside.bin || exit 1
cat >task.c <<'C'
#include <mpmap.h>
const mpm_task_description structs_description = {.result = "u64[2]", .row = "{f64 x, i32 n}"};
int digest(mpm_call *call, const void *item, void *result)
{
    const unsigned char *byte = item;
    uint64_t *words = result;

    words[0] = mpm_call_item_size(call);
    words[1] = 0;
    for (size_t i = 0; i < words[0]; i++)
        words[1] = words[1] * 31 + byte[i];
    return 0;
}
const mpm_task_description records_description = {.result = "u64", .row = "{text text, f32[2,2] v}"};
int records(mpm_call *call, const void *item, void *result)
{
    const struct { mpm_span text; float v[4]; } *record = item;
    const unsigned char *byte = record->text.at;
    uint64_t sum = 0;

    for (size_t i = 0; i < record->text.size; i++)
        sum = sum * 31 + byte[i];
    *(uint64_t *)result = sum;
    return mpm_call_item_size(call) != sizeof *record;
}
int structs(mpm_call *call, const void *item, void *result) { return digest(call, item, result); }
int negative(mpm_call *call, const void *item, void *result)
{
    (void)call;
    for (int i = 0; i < 12; i++)
        ((float *)result)[i] = -((const float *)item)[i];
    return 0;
}
C
cc -shared -fPIC -I "$source_folder/lib/include" -o task.so task.c || exit 1
ulimit -c 0
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0:log_path=$work/sanitizer
export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$work/sanitizer
/usr/bin/python3 "$source_folder/tests/damaged_inputs.py" "$bin/mpmap" "$seed" "$damages" >out 2>err
status=$?
cat out err
check "$damages damages of seed $seed: each map ends well, or with a sentence, and leaves nothing half written" test $status -eq 0
[ -z "${MPMAP_KEEP:-}" ] || cp wrong*.h5 "$MPMAP_KEEP"
report
