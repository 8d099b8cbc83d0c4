#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk in trouble under a map over a data set: each call that writes, changes, flushes or renames the output fails in
# turn, in any process, once or from then on: full, broken, interrupted, or only half of it written. The map is right
# all the same, or ends with a sentence that names the file and the trouble; then good rows stay, and --resume goes on
# to the same bytes as if nothing had been. Then disks that are full in fact, which needs root, for a mount of its own.
# Arguments: folder of mpmap, folder of the sources.
set -uo pipefail
if [ -z "${OWN_MOUNTS:-}" ] && unshare -m true 2>/dev/null; then
    OWN_MOUNTS=yes exec unshare -m bash "$0" "$@"
fi
source_folder=${2:-${MPMAP_SOURCE:?}}
. "$source_folder/tests/support/data_sets.sh"
plugin=$test_plugins/noting.so:note
fails_at=$(dirname "$bin")/tests/fails_at.so
rows=8 chunk=2 workers=2
export NOTING_MS=0
step=1 # from call to call
is_sanitized=$(grep -oE 'lib(a|t)san' <<<"$(ldd "$bin/mpmap")")
[ -z "$is_sanitized" ] || step=2

calls() { stat -c %s calls 2>/dev/null || echo 0; }
is_one_line() { [ "$(wc -l <err)" = 1 ] || [ "${launcher[*]}" != env ]; } # mpirun has words of its own
says() { grep -qE -- "$1" err && is_one_line; }
status_is() { [ "$status" = "$1" ]; }
is_whole() { cmp -s whole.h5 "${1:-out.h5}"; }
good_rows() { sed -nE 's/^.*[;:] ([0-9]+) of [0-9]+ rows are good.*/\1/p' "$1"; }

launcher=(env)
map_rows() # option…
{
    timeout 100 "${launcher[@]}" "$bin/mpmap" map "$plugin" in.h5:/data out.h5:/r --chunk $chunk --workers $workers \
        --quiet "$@" >out 2>err
    status=$?
}

seq 1 $rows >numbers.txt
text_set in.h5 /data TEXTFP 32 $rows
map_rows
check "an undisturbed map" status_is 0
mv out.h5 whole.h5

# What a run has left goes on.
goes_on()
{
    local good before
    good=$(good_rows err)
    before=$(calls)
    "$bin/mpmap" status out.h5 >state 2>&1
    check "$what: good rows are there as it said" [ "$(good_rows state)" = "$good" ]
    map_rows --resume
    check "$what: the map goes on" status_is 0
    check "$what: to the same bytes" is_whole
    check "$what: good rows are not run again" [ $(($(calls) - before)) -le $((rows - ${good:-0})) ]
}

# hit N TROUBLE ["on"]: whether there were so many calls.
hit()
{
    what="$2${3:+, and so on,} at call $1"
    rm -f out.h5* calls count
    export FAILS_FILE=out.h5 FAILS_COUNT=count FAILS_AT=$1 FAILS_WITH=$2 LD_PRELOAD=$fails_at
    export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
    [ -z "${3:-}" ] || export FAILS_ON=1
    map_rows
    unset LD_PRELOAD FAILS_AT FAILS_ON FAILS_FILE FAILS_COUNT FAILS_WITH
    [ "$(od -An -td8 count | tr -d ' ')" -ge "$1" ] || return 1
    hits=$((hits + 1))
    if [ "$status" = 0 ]; then
        is_whole || map_rows --resume # it may have stayed longer than it needs to be
        check "$what: the output is right" is_whole
        return
    fi
    failures=$((failures + 1))
    check "$what: it fails as a map does" status_is 1
    check "$what: it says so" says "$words"
    check "$what: there is no output" [ ! -e out.h5 ]
    goes_on
}

# each_call TROUBLE WORDS ["on"]
each_call()
{
    local n
    hits=0 failures=0 words=$2
    for ((n = 1; n < 500; n += step)); do hit $n "$1" "${3:-}" || break; done
    check "$1: there were calls, and an end of them ($hits)" [ $((hits * step)) -ge 15 -a $n -lt 500 ]
    echo "$1${3:+, and so on}: $hits calls hit, $failures maps ended by it"
}

each_call EINTR 'nothing'
check "what is interrupted is tried again" [ $failures = 0 ]
each_call SHORT 'nothing'
check "what is half written is written whole" [ $failures = 0 ]
each_call ENOSPC '^mpmap: .*out\.h5.*No space left on device' on
if [ -z "$is_sanitized" ]; then
    each_call ENOSPC '^mpmap: .*out\.h5.*No space left on device'
    each_call EIO '^mpmap: .*out\.h5.*Input/output error'
    each_call EIO '^mpmap: .*out\.h5.*Input/output error' on
fi

# In processes of other nodes, too.
if command -v mpirun >/dev/null; then
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
    hits=0 failures=0 words='^mpmap: .*out\.h5.*No space left on device'
    for n in 2 9 11 14 17 20 23; do hit $n ENOSPC on; done
    check "calls were hit on nodes" [ $hits -ge 5 -a $failures -ge 5 ]
    launcher=(env)
fi

# A disk that is full in fact.
if [ -z "${OWN_MOUNTS:-}" ]; then
    skip "disks that are full" "mounting needs root"
    report
    exit
fi
rows=20000 chunk=5 most=$((64 << 20))
rm -f in.h5 whole.h5 out.h5* calls
seq 1 $rows >numbers.txt
text_set in.h5 /data TEXTFP 32 $rows
mkdir disk
mount -t tmpfs -o size=$most tmpfs disk
map_to_disk() # option…: onto that disk
{
    "$bin/mpmap" map "$plugin" in.h5:/data disk/out.h5:/r --chunk $chunk --workers $workers --quiet "$@" >out 2>err
    status=$?
}
used() { df --output=used -B1 disk | tail -n 1; }
map_to_disk
check "a disk with room" status_is 0
cp disk/out.h5 whole.h5
results=$(used)
rm -f disk/out.h5 calls

what="a disk too small for the results"
mount -o remount,size=$((results / 2)) disk
map_to_disk
check "$what is an error" status_is 1
check "$what is named" says '^mpmap: disk/out.h5: No space left on device, [0-9]+ bytes are needed'
check "$what: no row is begun" [ "$(calls)" = 0 ]
check "$what has nothing on it" [ -z "$(ls disk)" ]

what="a disk that is full in the middle"
mount -o remount,size=$((results + (48 << 10))) disk
map_to_disk
check "$what is an error" status_is 1
check "$what is named" \
    says 'disk/out\.h5\.part: No space left on device; [1-9][0-9]* of 20000 rows are good: they are in '
good=$(good_rows err) before=$(calls)
map_to_disk --resume
check "$what: no more goes there" status_is 1
check "$what: no row is lost" [ "$(good_rows err)" -ge "$good" ]
good=$(good_rows err) before=$(calls)
mount -o remount,size=$most disk
map_to_disk --resume
check "$what: with more room it goes on" status_is 0
check "$what: to the same bytes" is_whole disk/out.h5
check "$what: good rows are not run again" [ $(($(calls) - before)) = $((rows - good)) ]
umount disk
report
