#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap tally of files that are compressed in parts, by bgzip or as several frames of zstd, and of several compressed files:
# the bytes of the result are those of the plain file, however it is cut, also over nodes; parts and files are inflated by
# several workers at the same time, which a library in front of zlib sees; what is damaged is an error.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/data_sets.sh"
needs_program mpmap-tally
launcher=()
tally()
{
    timeout 200 "${launcher[@]}" "$bin/mpmap-tally" "$@" --csv --quiet >out 2>err </dev/null
    status=$?
}
same_as() { [ "$status" -eq 0 ] && cmp -s out "$1"; }
fails_with() { [ "$status" -eq 1 ] && [[ $(cat err) == *"$1"* ]]; }

# Rows of several lines and of one, so that parts begin anywhere. Parts have a byte, none, or up to 65280 bytes, as
# bgzip's; the last one is its mark of the end.
cat >made.py <<'P'
import random, struct, sys, zlib
random.seed(11)
text = "key,x,note\n" + "".join('k%d,%.2f,%s\n' % (i % 23, random.uniform(-9, 9),
    '"two\nlines, %d"' % i if i % 41 == 0 else "n" * (i % 13)) for i in range(120000))
text = text.encode()
open("plain.csv", "wb").write(text)
def part(data):
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    return b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25) + body + \
        struct.pack("<II", zlib.crc32(data), len(data))
sizes, at, parts = [1, 0, 65280, 30000], 0, []
while at < len(text):
    size = sizes[len(parts) % 4]
    parts.append(part(text[at:at + size]))
    at += size
open("parts.csv.gz", "wb").write(b"".join(parts) + part(b""))
open("torn.csv.gz", "wb").write(b"".join(parts)[:-9])
wrong = bytearray(parts[2]); wrong[-1] ^= 0; wrong[-4] ^= 1
open("wrong.csv.gz", "wb").write(b"".join(parts[:2] + [bytes(wrong)] + parts[3:]))
flipped = bytearray(parts[-5]); flipped[200] ^= 8
open("flipped.csv.gz", "wb").write(b"".join(parts[:-5] + [bytes(flipped)] + parts[-4:]))
half = len(parts) // 2
with open("mixed.csv.gz", "wb") as file: # behind bgzip's parts is what gzip makes
    file.write(b"".join(parts[:half]))
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    file.write(packer.compress(text[sum(sizes[i % 4] for i in range(half)):]) + packer.flush())
P
/usr/bin/python3 made.py || exit 1
ask=(--by key --show 'count,sum(x),min(x),median(x),distinct(note)')
tally plain.csv "${ask[@]}"
cp out plain
check "the plain file is read" [ "$status" = 0 -a "$(wc -l <plain)" = 24 ]
for block in 1 100000 1000000 1000000000; do
    [ $block = 1 ] && block=70000
    tally parts.csv.gz "${ask[@]}" --block $block
    check "parts of gzip, in blocks of $block bytes" same_as plain
done
tally parts.csv.gz "${ask[@]}" --block 300000 --workers 5
check "with five workers" same_as plain
if command -v mpirun >/dev/null; then
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
    tally parts.csv.gz "${ask[@]}" --block 300000
    check "over three nodes" same_as plain
    launcher=()
fi
tally mixed.csv.gz "${ask[@]}" --block 300000
check "parts with others behind them" same_as plain
cat parts.csv.gz | timeout 200 "$bin/mpmap-tally" - "${ask[@]}" --csv --quiet --block 300000 >out 2>err
status=$?
check "parts that come from stdin" same_as plain
{ cat plain.csv; echo 'k1,x,1'; echo k2; } >bad.csv
tally bad.csv "${ask[@]}" --bad refuse --block 300000
sed 's/bad.csv/bad.csv.zst/' err >bad
zframes() # FILE BYTES
{
    local piece
    rm -f piece.*
    split -b "$2" "$1" piece.
    for piece in piece.*; do
        zstd -q --rm "$piece"
    done
    printf '\x5a\x2a\x4d\x18\x04\x00\x00\x00skip' >piece.00 # what zstd skips
    cat piece.* >"$1.zst"
    rm -f piece.*
}
if command -v zstd >/dev/null; then
    for bytes in 100000 700001; do
        zframes plain.csv $bytes
        for block in 70000 1000000; do
            tally plain.csv.zst "${ask[@]}" --block $block
            check "frames of zstd of $bytes bytes, in blocks of $block" same_as plain
        done
    done
    zframes bad.csv 400000
    tally bad.csv.zst "${ask[@]}" --bad refuse --block 300000
    check "a bad row has its line" cmp err bad
    head -c -9 plain.csv.zst >torn.csv.zst
    tally torn.csv.zst "${ask[@]}"
    check "frames that end too early" fails_with "'torn.csv.zst' is damaged: its compressed data end too early"
else
    skip "frames of zstd" "zstd is not installed"
fi
tally torn.csv.gz "${ask[@]}"
check "parts that end too early" fails_with "'torn.csv.gz' is damaged: its compressed data end too early"
tally wrong.csv.gz "${ask[@]}" --block 300000
check "a part that lies about its size" fails_with "'wrong.csv.gz' is damaged"
tally flipped.csv.gz "${ask[@]}" --block 300000
check "a part with a wrong bit" fails_with "'flipped.csv.gz' is damaged"

# In front of zlib: a worker that begins to inflate waits until another one does, too, or gives up and says so.
cat >meet.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zlib.h>

static void meet(void)
{
    char name[32] = "", path[64];
    glob_t met = {0};

    prctl(PR_GET_NAME, name);
    if (strncmp(name, "mpmap-worker", 12))
        return;
    snprintf(path, sizeof path, "inflates.%d", (int)getpid());
    fclose(fopen(path, "w"));
    for (int i = 0; i < 1200; i++, usleep(50000)) {
        int status = glob("inflates.*", 0, NULL, &met);
        size_t count = status ? 0 : met.gl_pathc;

        globfree(&met);
        if (count > 1)
            return;
    }
    fclose(fopen("alone", "w"));
}

int inflateInit2_(z_stream *stream, int bits, const char *version, int size)
{
    int (*next)(z_stream *, int, const char *, int);

    *(void **)&next = dlsym(RTLD_NEXT, "inflateInit2_");
    meet();
    return next(stream, bits, version, size);
}
C
if cc -shared -fPIC -o meet.so meet.c 2>err; then
    export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
    launcher=(env LD_PRELOAD="$work/meet.so")
    tally parts.csv.gz "${ask[@]}" --block 300000 --workers 2
    check "two workers inflate parts of one file at the same time" [ ! -e alone -a "$(ls -d inflates.* | wc -l)" = 2 ]
    check "to the same bytes" same_as plain
    rm -f inflates.* alone
    gzip -c plain.csv >one.csv.gz
    cp one.csv.gz two.csv.gz
    tally one.csv.gz two.csv.gz --show count --workers 2
    check "two workers inflate two files at the same time" [ ! -e alone -a "$(ls -d inflates.* | wc -l)" = 2 ]
    check "which both count" [ "$(tail -n 1 out)" = 240000 ]
else
    skip "who inflates at the same time" "zlib1g-dev is not installed"
fi
report
