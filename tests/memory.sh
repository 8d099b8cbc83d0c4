#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Memory, time and attempts of rows, as `mpmap map` limits them; and rows that fit into a control group one at a time, and
# not two at once: they are good all the same. The latter needs root, and a memory controller of either version.
# Arguments: folder of mpmap, folder of the sources. Last line: "N passed, N failed".
set -u

bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
work=$(mktemp -d)
group=
trap 'cd /; rm -rf "$work"; leave_group' EXIT
cd "$work" || exit 1
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"
show() { tail -n 20 said; }
export MPMAP_ARENA=16M

# Whoever was in it has ended, but the kernel may be busy with that.
leave_group()
{
    [ -n "$group" ] || return
    for _ in $(seq 100); do
        rmdir "$group" 2>/dev/null && return
        sleep 0.1
    done
}

cat >hog.c <<'C'
#include <mpmap.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Needs so many MiB for half a second; below 0, ends only when it is killed. */
int hog(mpm_call *call, const void *item, void *result)
{
    int number = *(const int *)item;
    size_t size = (size_t)abs(number) << 20;
    char *room = malloc(size);

    if (!room)
        return mpm_fail(call, "no memory");
    for (size_t i = 0; i < size; i += 4096)
        ((volatile char *)room)[i] = 1;
    while (number < 0)
        pause();
    if (number > 1)
        usleep(500000);
    free(room);
    *(int *)result = number;
    return 0;
}

int crash(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    (void)result;
    return raise(SIGSEGV);
}
C
cc -shared -fPIC -I "$source_folder/lib/include" -o hog.so hog.c || exit 1

# rows NAME NUMBER…: NAME.h5:/data
rows()
{
    local name=$1
    shift
    printf '%s\n' "$@" >numbers
    printf '%s\n' 'PATH /data' 'INPUT-CLASS TEXTIN' 'INPUT-SIZE 32' 'RANK 1' "DIMENSION-SIZES $#" >conf
    h5import numbers -c conf -o "$name.h5" >/dev/null || exit 1
}

# map FUNCTION NAME OPTION…: sets $status, and leaves what was said in the file `said`.
map()
{
    timeout 100 "$bin/mpmap" map "hog.so:$1" "$2.h5:/data" out.h5:/r --result i32 --overwrite "${@:3}" >said 2>&1
    status=$?
}

status_is() { [ "$status" -eq "$1" ]; }
said() { grep -qF -- "$1" said; }

rows mixed 1 1 -200 1 1 1
map hog mixed --memory 64M --attempts 1 --workers 2
check "a row that needs too much is status 1" status_is 1
check "the cause is told" said "1 of 6 items failed; the first is item 2: it needed more than 64 MiB (1 attempt)"
map hog mixed --memory=65537K --workers 2
check "it is tried twice" said "it needed more than 65537 KiB (2 attempts)"
rows small 1 1 1 1
map hog small --memory 1G --timeout 100 --attempts 3
check "rows within their limits are good" status_is 0
rows hanging 1 -1 1
map hog hanging --timeout 2 --attempts 1
check "a row that takes too long is told" said "it ran past its 2 s (1 attempt)"
map crash small --attempts 4
check "attempts are as many as were asked for" said "(4 attempts)"
for wrong in 0 12X 1.5G -1 G 16777217T; do
    map hog small --memory "$wrong"
    check "--memory $wrong is refused" status_is 2
    check "--memory $wrong is named" said "--memory is '$wrong', but must be a number of bytes such as 268435456 or 256M"
done

# make_group BYTES: sets $group; false if none can be had.
make_group()
{
    local name=mpmap-test-$$
    if [ -w /sys/fs/cgroup/memory/cgroup.procs ] && mkdir "/sys/fs/cgroup/memory/$name" 2>/dev/null; then
        group=/sys/fs/cgroup/memory/$name
        echo "$1" >"$group/memory.limit_in_bytes"
        return
    fi
    grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || return
    mkdir "/sys/fs/cgroup/$name" 2>/dev/null || return
    group=/sys/fs/cgroup/$name
    echo "$1" >"$group/memory.max"
    echo 0 >"$group/memory.swap.max" 2>/dev/null
    [ -e "$group/memory.max" ]
}

if [ "$(id -u)" = 0 ] && make_group 90M; then
    rows large 50 50 50 50 50 50
    # shellcheck disable=SC2016 # the inner shell's
    timeout 100 sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$group" "$bin/mpmap" map hog.so:hog \
        large.h5:/data out.h5:/r --result i32 --overwrite --workers 2 >said 2>&1
    status=$?
    check "rows that fit one at a time are good" status_is 0
    h5dump -d /r -y -w 0 out.h5 2>/dev/null | grep -q '50, 50, 50, 50, 50, 50'
    status=$?
    check "and so are their results" status_is 0
else
    echo "skipped, because no control group with a memory limit can be made: rows that fit one at a time"
fi

report
