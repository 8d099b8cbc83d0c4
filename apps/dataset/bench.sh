#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap map over data sets beside its limits, all in this run and in turn: the sum of rows of 256 f32 in one piece, in
# compressed chunks, and in chunks that run across the rows, beside one process that reads them with H5Dread and calls the
# same function (bench/loop.c); compressed results beside one process of h5py; a file that is not in memory beside dd.
#
#   ./dev bench dataset [MIB]
#
# MIB: of the file in one piece, 2048 if not given; those in chunks are an eighth of it. MPMAP_BIN: folder of the programs;
# MPMAP_OUT: folder for what is made here. ROUNDS: how often each is run (5); the median counts. WORKERS: 2. Beside the
# times of a clock stand those of CPUs, users' and the kernel's, which other programs of a busy machine change less.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
mib=${1:-2048}
rounds=${ROUNDS:-5}
workers=${WORKERS:-2}
mkdir -p "$out" && cd "$out"
trap 'rm -f r.h5 r.h5.* times.* made' EXIT
TIMEFORMAT='%R %U %S'

make_programs()
{
    local flags
    flags=$(PKG_CONFIG_PATH=$bin/../lib/pkgconfig pkg-config --cflags --libs hdf5-serial 2>/dev/null) || flags=$(pkg-config --cflags --libs hdf5)
    # shellcheck disable=SC2086 # words
    cc -O2 -o loop "$here/bench/loop.c" $flags -ldl
    cc -O2 -ftree-vectorize -shared -fPIC -I "$here/../../lib/include" -o rows.so "$here/bench/rows.c"
}

# Numbers as instruments give them: smooth, with noise in a few bits.
make_files()
{
    [ "$(cat made_for 2>/dev/null)" = "$mib" ] && return
    /usr/bin/python3 - "$mib" <<'P'
import sys
import h5py, numpy as np
rows = int(sys.argv[1]) << 10
random = np.random.default_rng(3)
step = 1 << 12
block = np.round(np.sin(np.arange(step * 256) / 999.).reshape(step, 256) * 1000 + random.integers(0, 8, (step, 256))).astype("f4")
with h5py.File("piece.h5", "w") as f:
    data = f.create_dataset("data", (rows, 256), "f4")
    for row in range(0, rows, step):
        data[row:row + step] = block[:rows - row]
rows //= 8
for name, chunk in (("packed", (256, 256)), ("columns", (4096, 16))):
    with h5py.File(name + ".h5", "w") as f:
        data = f.create_dataset("data", (rows, 256), "f4", chunks=chunk, compression="gzip", shuffle=True)
        for row in range(0, rows, step):
            data[row:row + step] = block[:rows - row]
P
    sync
    echo "$mib" >made_for
}

# timed NAME COMMAND…: adds "elapsed user system" to times.NAME; the first is what the command says itself, if it says so.
timed()
{
    local name=$1
    shift
    rm -f r.h5
    { time "$@" >made 2>&1; } 2>took || { cat made >&2; exit 1; }
    awk 'FILENAME == "made" { if ($1 ~ /^[0-9.]+$/ && NF == 1) own = $1
             if (/ rows in /) own = $2 / substr($7, 1)
             next }
         { print own ? own : $1, $2, $3 }' made took >>"times.$name"
}

map() { "$bin/mpmap" map "rows.so:$1" "$2:/data" r.h5:/r --workers "$workers" --progress off "${@:3}"; }
loop() { ./loop ./rows.so sum "$1" r.h5; }
packed_by_h5py()
{
    /usr/bin/python3 -c '
import time, h5py
begun = time.monotonic()
with h5py.File("packed.h5") as i, h5py.File("r.h5", "w") as o:
    data = i["data"]
    made = o.create_dataset("r", data.shape, "f4", chunks=(512, 256), compression="gzip", shuffle=True)
    for row in range(0, len(data), 512):
        made[row:row + 512] = data[row:row + 512]
print("%.6f" % (time.monotonic() - begun))'
}
forget() { dd if="$1" iflag=nocache count=0 status=none; }
warm() { cat "$1" >/dev/null; }
cold_map() { map sum piece.h5; }
cold_dd() { dd if=piece.h5 of=/dev/null bs=1M status=none; }

# The median of a column of times.NAME.
median() { awk -v c="$2" '{ print c == 0 ? $2 + $3 : $c }' "times.$1" | sort -n | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }

# report WHAT BYTES NAME LIMIT AIM: NAME beside LIMIT, by the clock and by CPUs.
report()
{
    awk -v what="$1" -v mb="$2" -v a="$(median "$3" 1)" -v b="$(median "$4" 1)" -v ac="$(median "$3" 0)" \
        -v bc="$(median "$4" 0)" -v limit="$4" -v aim="$5" -v workers="$workers" 'BEGIN {
        printf "%-34s %8.0f MB/s  %6.3f of %8.0f MB/s %-12s aim %-5s CPU %.3f of %.3f s\n", what, mb / a, b / a, mb / b, limit, aim, ac, bc }'
}

pair() # WHAT FILE AIM LIMIT-NAME LIMIT… -- MAP…
{
    local what=$1 file=$2 aim=$3 name=$4 limit=() i
    shift 4
    while [ "$1" != -- ]; do limit+=("$1"); shift; done
    shift
    rm -f times.*
    for ((i = 0; i < rounds; i++)); do
        "$ready" "$file"
        timed map "$@"
        "$ready" "$file"
        timed "$name" "${limit[@]}"
    done
    report "$what" "$(/usr/bin/python3 -c 'import h5py, sys; print(h5py.File(sys.argv[1])["data"].nbytes / 1e6)' "$file")" map "$name" "$aim"
}

make_programs
make_files
ready=warm
echo "$mib MiB, $workers workers, medians of $rounds rounds"
pair "sums, in one piece" piece.h5 1.9 H5Dread loop piece.h5 -- map sum piece.h5
pair "sums, gzip and shuffle" packed.h5 1.9 H5Dread loop packed.h5 -- map sum packed.h5
pair "sums, chunked by columns" columns.h5 1.9 H5Dread loop columns.h5 -- map sum columns.h5
pair "compressed results" packed.h5 1.9 h5py packed_by_h5py -- map copy packed.h5 --compress gzip --compress-rows 512
ready=forget
pair "sums, a file that is not in memory" piece.h5 0.95 dd cold_dd -- cold_map
