# SPDX-License-Identifier: BSD-3-Clause
# Looking at processes from outside. A script that starts runs sources this; what a run has printed is in out and err of the
# folder `work`.
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

# All processes below one, itself included.
tree()
{
    local child
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$child"; done
}

# is_named NAME PID
is_named()
{
    [ "$(cat "/proc/$2/comm" 2>/dev/null)" = "$1" ]
}

# named NAME PID…: those of the processes that are called so, but for what one of them has just forked: that bears its
# parent's name until it has its own.
named()
{
    local name=$1 pid parent
    shift
    for pid; do
        is_named "$name" "$pid" || continue
        parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status" 2>/dev/null)
        is_named "$name" "$parent" || echo "$pid"
    done
}

# wait_for SECONDS command…: until it is true. Between two looks nothing is forked: a bash that forks a hundred times a
# second meets numbers of old processes again, and may wait for one of those for ever.
wait_for()
{
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000)) silence status=0
    shift
    exec {silence}<> <(:)
    until "$@"; do
        [ "${EPOCHREALTIME/./}" -lt "$end" ] || { status=1; break; }
        read -rt 0.01 -u "$silence" || true
    done
    exec {silence}>&-
    return $status
}

# none_left PID…: but for what its parent has yet to look at.
none_left()
{
    local pid stat
    for pid; do
        { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
        stat=${stat##*) }
        [ "${stat%% *}" = Z ] || return 1
    done
}

# one_is_gone PID…: any of them.
one_is_gone()
{
    local pid
    for pid; do
        ! none_left "$pid" || return 0
    done
    return 1
}

# vader_segment.* and, from version 5 on, sm_segment.* are files of Open MPI's own transport, ucx_shm_posix_* of MPICH's: a
# rank that is killed in MPI_Init leaves them.
shared_files()
{
    find /dev/shm -mindepth 1 ! -name 'vader_segment.*' ! -name 'sm_segment.*' ! -name 'ucx_shm_posix_*' | sort
}

# A run that is started with MPMAP_TEST_MARK=$mark hands that on to whatever it starts, orphans included.
mark=$$.$RANDOM

# keep_books: what is in /dev/shm before a run.
keep_books()
{
    shared_files >"$work/shared_before"
}

no_file_is_left()
{
    [ -z "$(comm -13 "$work/shared_before" <(shared_files))" ]
}

no_process_is_left()
{
    ! grep -qzsx "MPMAP_TEST_MARK=$mark" /proc/[0-9]*/environ
}

# end_all_at_exit: a script that is ended leaves no run behind that has its mark, stopped ones least of all, and no files.
end_all_at_exit()
{
    trap 'kill -KILL $(grep -lzsx "MPMAP_TEST_MARK=$mark" /proc/[0-9]*/environ | cut -d/ -f3) 2>/dev/null
        rm -rf "$work"' EXIT
}

nothing_is_left()
{
    no_file_is_left && no_process_is_left
}

is_running()
{
    grep -qs running "$work/out"
}
