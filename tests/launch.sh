#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Ways to start and to end a run: with and without a launcher, bound and not, with little memory, with settings
# that are wrong, with programs that are not one; and ways to leave main. Arguments: folder of mpmap, folder of
# the sources.
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
export LC_ALL=C.UTF-8
unset MPMAP_ARENA MPMAP_RANKS_PER_NODE MPMAP_LOG

# Runs a command to its end, or for half a minute, and keeps $status, $work/out and $work/err.
run()
{
    keep_books
    MPMAP_TEST_MARK=$mark timeout -k 2 200 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

status_is() { [ "$status" = "$1" ]; }
fails() { [ "$status" -ge 1 ] && [ "$status" -lt 124 ]; }
out_is() { [ "$(cat "$work/out")" = "$1" ]; }
out_has() { grep -qE -- "$1" "$work/out"; }
err_has() { grep -qE -- "$1" "$work/err"; }
ends_clean() { wait_for 60 nothing_is_left; }

# Lines that the program itself has printed, not its launcher.
said_once() { [ "$(grep -cE -- "$1" "$work/err")" = 1 ]; }

squares='Squared numbers: [1, 4, 9, 16, 25]'
squares_come()
{
    status_is 0 && out_is "$squares"
}

# As root, in a mount namespace of its own: with_shm SIZE command…
with_shm()
{
    local size=$1
    shift
    run unshare -m bash -c "mount -t tmpfs -o size=$size tmpfs /dev/shm && exec \"\$@\"" with_shm "$@"
}

# The same with one that others have filled.
with_full_shm()
{
    run unshare -m bash -c "mount -t tmpfs -o size=1M tmpfs /dev/shm && ! cat /dev/zero 2>/dev/null >/dev/shm/full && exec \"\$@\"" \
        with_full_shm "$@"
}

# A control group of memory that may have so many bytes: $group, to be removed again. As root.
limit_memory() # bytes
{
    if [ -d /sys/fs/cgroup/memory ]; then
        group=$(mktemp -d /sys/fs/cgroup/memory/mpmap-launch-XXXXXX 2>/dev/null) &&
            echo "$1" >"$group/memory.limit_in_bytes"
    else
        group=$(mktemp -d /sys/fs/cgroup/mpmap-launch-XXXXXX 2>/dev/null) && echo "$1" >"$group/memory.max"
    fi 2>/dev/null
}

in_group()
{
    run bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

can_mount()
{
    timeout -k 2 10 unshare -m mount -t tmpfs -o size=1M tmpfs /mnt 2>/dev/null
}

# --- No launcher: no MPI ---------------------------------------------------------------------------------

solo_sets_off_no_mpi()
{
    mkdir "$work/sessions"
    keep_books
    TMPDIR=$work/sessions MPMAP_TEST_MARK=$mark "$programs/long_run" map >"$work/out" 2>"$work/err" &
    local started=$! all
    wait_for 60 is_running
    mapfile -t all < <(tree "$started")
    check "without a launcher, a run is main, a host and workers, and nobody else" \
        [ "$(for pid in "${all[@]}"; do cat "/proc/$pid/comm"; done | sort | uniq -c | tr -s ' \n' ' ')" = \
        " 1 long_run 1 mpmap-forker $(nproc) mpmap-worker " ]
    check "without a launcher, there is no session folder of Open MPI" [ -z "$(ls -A "$work/sessions")" ]
    check "workers are first in line when memory is out" workers_have_score 1000 "${all[@]}"
    check "main and hosts are not" others_have_score "$(cat /proc/self/oom_score_adj)" "${all[@]}"
    kill -KILL "$started"
    wait "$started" 2>/dev/null
    check "it ends clean" ends_clean
}

workers_have_score() # score PID…
{
    local score=$1 pid
    shift
    for pid in $(named mpmap-worker "$@"); do
        [ "$(cat "/proc/$pid/oom_score_adj")" = "$score" ] || return 1
    done
}

others_have_score()
{
    local score=$1 pid
    shift
    for pid in $(named mpmap-forker "$@") $(named long_run "$@"); do
        [ "$(cat "/proc/$pid/oom_score_adj")" = "$score" ] || return 1
    done
}

# System calls of main in mpm_init, the first of which asks for its CPUs; MPI_Init would make thousands. And how
# long it takes from fork and exec until that has returned, when nobody counts.
start_is_cheap()
{
    local calls begun_us best_us=1000000 took_us
    for _ in 1 2 3 4 5; do
        begun_us=${EPOCHREALTIME/./}
        read -r _ < <("$programs/ending" start 0)
        took_us=$((${EPOCHREALTIME/./} - begun_us))
        [ "$took_us" -ge "$best_us" ] || best_us=$took_us
    done
    echo "from fork and exec until mpm_init has returned: $((best_us / 1000)).$(printf %03d $((best_us % 1000))) ms"
    if ! strace -o "$work/trace" true 2>/dev/null; then
        skip "a run starts with few system calls" "strace is not there, or may not look at processes"
        return
    fi
    run strace -o "$work/trace" "$programs/ending" start 0
    calls=$(sed -n '/^sched_getaffinity/,/^write(1, "started/p' "$work/trace" | wc -l)
    echo "mpm_init makes $calls system calls; $(sed '/^write(1, "started/q' "$work/trace" | wc -l) with those of the loader"
    check "a run starts with few system calls ($calls)" [ "$calls" -gt 10 -a "$calls" -lt 300 ]
}

run "$bin/mpmap" info --json
check "without a launcher, mpmap info says that there is no MPI" out_has '"mpi": "none"'
solo_sets_off_no_mpi
start_is_cheap

# --- Slots and nodes -------------------------------------------------------------------------------------

# Numbers of a field in the nodes of `mpmap info --json`, one after the other: of_nodes FIELD
of_nodes()
{
    grep -oE "\{\"name\".*" "$work/out" | grep -oE "\"$1\": [0-9]+" | grep -oE '[0-9]+' | tr '\n' ' '
}

node_names()
{
    grep -oE '"name": "[^"]*"' "$work/out" | cut -d'"' -f4 | sed "s|^$(uname -n)|H|" | tr '\n' ' '
}

cpus=$(nproc)
run "$bin/mpmap" info --json
if ! out_has '"slots_by": "affinity mask"'; then
    skip "slots by the affinity mask of $cpus CPUs" "there is a quota, or a batch job"
    cpus=$(of_nodes slots)
fi
run taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')" "$bin/mpmap" info --json
check "a run that is bound to one CPU has one slot" [ "$(of_nodes slots)" = "1 " ]
run "$bin/mpmap" info --json
check "a run has as many slots as it has CPUs" [ "$(of_nodes slots)" = "$cpus " ]
if [ "$cpus" -ge 2 ]; then
    run mpirun -n 2 --bind-to core "$bin/mpmap" info --json
    check "two ranks that are bound to a core each have a slot for each of its CPUs" \
        [ "$(of_nodes slots)" = "$((2 * $(lscpu | sed -n 's/^Thread.* core: *//p'))) " ]
else
    skip "ranks that are bound to a core" "there is one CPU"
fi
run mpirun -n 4 "$bin/mpmap" info --json
check "four ranks that are not bound share the CPUs, and have one slot each at least" \
    [ "$(of_nodes slots)" = "$((cpus > 4 ? cpus : 4)) " ]

# The examples in config/site. Names that Open MPI does not know it would ignore without a word.
site=$source_folder/config/site
known_to_mpi()
{
    local name parameters
    parameters=$(ompi_info --all --parsable)
    while read -r name; do
        grep -q ":param:$name:value:" <<<"$parameters" || { echo "$name" >"$work/err" && return 1; }
    done < <(sed -nE 's/^#?([a-z_]+) = .*/\1/p' "$site/openmpi-mca-params.conf")
}
if grep -q '(Open MPI) 4' <<<"$(mpirun --version 2>/dev/null)"; then
    check "Open MPI knows all parameters that a site is advised to set" known_to_mpi
    sed 's/^node1 /localhost /; /^node2 /d' "$site/hostfile" >"$work/hostfile"
    run env OMPI_MCA_mca_base_param_files="$site/openmpi-mca-params.conf" \
        mpirun --hostfile "$work/hostfile" --map-by ppr:1:node "$bin/mpmap" info --json
    check "with a site's parameters and its hostfile, one rank has all CPUs" [ "$(of_nodes slots)" = "$cpus " ]
else
    skip "the example of a site" "it is for Open MPI 4"
fi

run env MPMAP_SLOTS=7 "$bin/mpmap" info --json
check "MPMAP_SLOTS comes before all" [ "$(of_nodes slots)" = "7 " ]
check "it is said what has decided" out_has '"slots_by": "MPMAP_SLOTS"'
run env SLURM_JOB_ID=1 SLURM_CPUS_ON_NODE=1 "$bin/mpmap" info --json
check "a batch job's CPUs are its slots" [ "$(of_nodes slots)" = "1 " ]

# under_quota FILE TEXT FOLDER SIGN: half a CPU, in a new group there, if the folder has a file that is its sign.
under_quota()
{
    local group=$3/mpmap-test.$$
    if ! [ -f "$3/$4" ] || ! mkdir "$group" 2>/dev/null; then
        skip "a quota in $1" "no group can be made in $3"
        return
    fi
    if { echo "$2" >"$group/$1"; } 2>/dev/null; then
        # shellcheck disable=SC2016
        run bash -c 'echo $$ >"$1/cgroup.procs" && exec "$2" info --json' in "$group" "$bin/mpmap"
        check "a quota in $1 bounds the slots" [ "$(of_nodes slots)" = "1 " ]
        [ "$cpus" -eq 1 ] || check "a quota in $1 is named" out_has '"slots_by": "cgroup quota"'
    else
        skip "a quota in $1" "groups in $3 have none"
    fi
    rmdir "$group"
}
under_quota cpu.cfs_quota_us 50000 /sys/fs/cgroup/cpu cpu.cfs_quota_us
under_quota cpu.max "50000 100000" /sys/fs/cgroup cgroup.controllers

while read -r per_node ranks names; do
    run env MPMAP_RANKS_PER_NODE="$per_node" mpirun -n 4 "$bin/mpmap" info --json
    check "four ranks, $per_node a node: ranks of the nodes" [ "$(of_nodes ranks | tr ' ' ,)" = "$ranks" ]
    check "four ranks, $per_node a node: names of the nodes" [ "$(node_names)" = "$names " ]
    check "four ranks, $per_node a node: ranks in all" out_has '^  "ranks": 4,'
done <<'END'
1 1,1,1,1, H/0 H/1 H/2 H/3
2 2,2, H/0 H/1
3 3,1, H/0 H/1
4 4, H
END

# --- What is wrong is said, once -------------------------------------------------------------------------

# Some of Open MPI 5 end by a signal.
starts_two_programs()
{
    mpirun -n 1 true : -n 1 true >/dev/null 2>&1
}

if starts_two_programs; then
    run mpirun -n 1 "$programs/ending" start 0 : -n 1 "$programs/launched" signals
    check "two programs in one run: it fails" fails
    check "two programs in one run: both are named, with node and build" said_once \
        "rank 0 on [^ ]+ runs [^ ]*/ending \(build [0-9a-f]{16}.*rank 1 on [^ ]+ runs [^ ]*/launched \(build [0-9a-f]{16}"
    check "two programs in one run: nothing is left" ends_clean
else
    skip "two programs in one run" "this mpirun cannot start them"
fi

while read -r variable value words; do
    for launcher in "" "mpirun -n 3" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 2"; do
        run $launcher env "$variable=$value" "$bin/examples/04_pool"
        check "$variable=$value, '$launcher': it fails" fails
        check "$variable=$value, '$launcher': one line says why" said_once "^04_pool: .*$words"
        check "$variable=$value, '$launcher': nothing is left" ends_clean
    done
done <<'END'
MPMAP_ARENA lots MPMAP_ARENA is "lots": it must be a number of bytes
MPMAP_ARENA 512K an arena of 524288 bytes is too small
MPMAP_RANKS_PER_NODE 0 MPMAP_RANKS_PER_NODE is "0": it must be a whole number of at least 1
MPMAP_LOG loud MPMAP_LOG is "loud": it must be off, error, info or debug
END

run env SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=4 "$bin/examples/04_pool"
check "srun without PMIx: it fails" fails
check "srun without PMIx: the error says what to do" said_once 'srun has started 4 tasks .*srun --mpi=pmix, or mpirun'
run env PMI_RANK=1 PMI_SIZE=3 "$bin/examples/04_pool"
check "the launcher of another MPI: it fails" fails
check "the launcher of another MPI: the error names what each of them says" \
    said_once '^04_pool: .*PMI_SIZE is 3, .* but MPI \([^)]+\) reports that there is 1: '
check "the launcher of another MPI: nothing is left" ends_clean
run env PMI_RANK=1 PMI_SIZE=3 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=4 mpirun -n 1 "$bin/examples/04_pool"
check "a launcher within another one is the one that counts" squares_come
run env SLURM_NTASKS=4 SLURM_PROCID=0 "$bin/examples/04_pool"
check "a batch script is one rank, whatever it has asked for" squares_come

# --- Memory ----------------------------------------------------------------------------------------------

for launcher in "" "mpirun -n 2"; do
    run env MPMAP_ARENA=1M $launcher "$bin/examples/04_pool"
    check "an arena of 1M is enough for a small map, '$launcher'" squares_come
done
run env MPMAP_ARENA=1000T "$bin/examples/04_pool"
check "an arena that cannot be mapped: it fails" fails
check "an arena that cannot be mapped: its size is said" said_once 'cannot map an arena of 1099511627776000 bytes'
# Sanitizers need more addresses than anybody is limited to.
if (ulimit -v 3000000; "$bin/mpmap" --version >"$work/out" 2>&1); then
    for launcher in "" "mpirun -n 2" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 2"; do
        run $launcher bash -c 'ulimit -v 3000000 && exec "$0"' "$bin/examples/04_pool"
        check "a limit of addresses makes for an arena that fits, '$launcher'" squares_come
    done
else
    skip "a limit of addresses" "this build needs more"
fi
if limit_memory 100000000; then
    in_group env MPMAP_ARENA=50M "$bin/examples/04_pool"
    check "an arena that the control group has memory for goes" squares_come
    for launcher in "" "mpirun -n 2" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 2"; do
        in_group env MPMAP_ARENA=200M $launcher "$bin/examples/04_pool"
        check "an arena larger than the control group's memory, '$launcher': it fails" fails
        check "an arena larger than the control group's memory, '$launcher': both are said" \
            said_once 'an arena of 209715200 bytes.* the memory limit of the control group, which is (99[0-9]+|100000000)'
        check "an arena larger than the control group's memory, '$launcher': nothing is left" ends_clean
        advised=$(grep -oE 'MPMAP_ARENA to [0-9]+M' "$work/err" | grep -oE '[0-9]+M')
        in_group env MPMAP_ARENA="${advised:-none}" $launcher "$bin/examples/04_pool"
        check "an arena of $advised, as it says, '$launcher', goes" squares_come
    done
    rmdir "$group"
else
    skip "a control group's memory" "this user cannot make such a group"
fi
if can_mount; then
    with_shm 16M mpirun -n 2 "$bin/examples/04_pool"
    check "a /dev/shm of 16M is enough" squares_come
    with_shm 16M env MPMAP_ARENA=20M mpirun -n 2 "$bin/examples/04_pool"
    check "an arena larger than /dev/shm: it fails" fails
    check "an arena larger than /dev/shm: the error says where, and what to do" \
        said_once "rank 0 on $(uname -n): an arena of 20971520 bytes does not fit into /dev/shm, which has [0-9]+ free: set MPMAP_ARENA to [0-9]+M or less, or MPMAP_RANKS_PER_NODE to 1,"
    check "an arena larger than /dev/shm: nothing is left" ends_clean
    advised=$(grep -oE 'MPMAP_ARENA to [0-9]+M' "$work/err" | grep -oE '[0-9]+M')
    with_shm 16M env MPMAP_ARENA="${advised:-none}" mpirun -n 2 "$bin/examples/04_pool"
    check "an arena larger than /dev/shm: with $advised, as it says, it goes" squares_come
    with_shm 16M env MPMAP_ARENA=20M MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/examples/04_pool"
    check "an arena larger than /dev/shm: with one rank a node, as it says, it goes" squares_come
    with_full_shm mpirun -n 2 "$bin/examples/04_pool"
    check "a full /dev/shm: it fails" fails
    check "a full /dev/shm: the error says what to do" \
        said_once 'does not fit into /dev/shm, which has [0-9]+ free: set MPMAP_RANKS_PER_NODE to 1,'
    with_full_shm env MPMAP_RANKS_PER_NODE=1 mpirun -n 2 "$bin/examples/04_pool"
    check "a full /dev/shm: with one rank a node, as it says, it goes" squares_come
    with_shm 2000T env MPMAP_ARENA=1000T mpirun -n 2 "$bin/examples/04_pool"
    check "an arena that /dev/shm has room for, and ranks have no addresses for: it fails" fails
    check "an arena that ranks have no addresses for: its size is said" \
        said_once 'cannot map an arena of 1099511627776000 bytes'
    check "an arena that ranks have no addresses for: nothing is left" ends_clean
    with_shm 16M mpirun -n 2 "$programs/launched" full /dev/shm/full
    check "a /dev/shm that others fill up later: MPM_ENOMEM, and no signal" status_is 0
    check "a /dev/shm that others fill up later: nothing is left" ends_clean
else
    skip "a small /dev/shm" "this user cannot mount one"
fi

# --- Ways to leave main ----------------------------------------------------------------------------------

for way in return exit in-map in-puts in-calls in-wait; do
    for launcher in "" "mpirun -n 2" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 2"; do
        run $launcher "$programs/ending" "$way" 7
        check "main leaves without mpm_finalize ($way), '$launcher': its exit status counts" status_is 7
        check "main leaves without mpm_finalize ($way), '$launcher': nothing is left" ends_clean
        check "main leaves without mpm_finalize ($way), '$launcher': nobody is told that it was called" \
            [ "$(grep -c mpm_finalize "$work/err")" = 0 ]
    done
done

# --- What workers get ------------------------------------------------------------------------------------

for launcher in "" "mpirun -n 2"; do
    run $launcher "$programs/launched" signals
    check "workers start with clean signals, but for those that are ignored, and main keeps its own, '$launcher'" status_is 0
    check "a program of one thread is not warned, '$launcher'" [ "$(grep -c "before mpm_init" "$work/err")" = 0 ]
    run $launcher "$programs/launched" threads
    check "a thread that was there before is told of, once, '$launcher'" \
        [ "$status $(grep -c "^mpmap: 1 other thread was running before mpm_init" "$work/err")" = "0 1" ]
done

run "$programs/launched" lines 1000 8
check "what workers print is all there, in whole lines" \
    [ "$(grep -cxE 'item [0-7] line [0-9]+ of 1000, and it is whole' "$work/out") $(sort -u "$work/out" | wc -l)" = "8000 8002" ]
check "what was printed before the run and after it stands there once" \
    [ "$(grep -cx -e 'before the run' -e 'after the map' "$work/out")" = 2 ]
size=$(($(wc -c <"$work/out") + $(wc -c <<<'before the run')))
run mpirun -n 2 "$programs/launched" lines 1000 8
check "what workers print through a launcher is all there" [ "$(wc -c <"$work/out")" = "$size" ]

mkdir "$work/plugins"
cp "$programs/plugins/doubling.so" "$work/plugins"
for launcher in "" "mpirun -n 2" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 3"; do
    run $launcher "$programs/launched" plugin "$work/plugins/doubling.so"
    check "a plugin that only main has opened works on all nodes, '$launcher'" status_is 0
done
if can_mount && starts_two_programs; then
    run env MPMAP_RANKS_PER_NODE=1 mpirun -n 1 "$programs/launched" plugin "$work/plugins/doubling.so" : \
        -n 1 unshare -m sh -c "mount -t tmpfs tmpfs $work/plugins && exec $programs/launched plugin $work/plugins/doubling.so"
    check "a plugin that another node does not have: it fails" fails
    check "a plugin that another node does not have: the error names node and file" \
        said_once "$(uname -n)/1.*$work/plugins/doubling.so"
    check "a plugin that another node does not have: nothing is left" ends_clean
else
    skip "a plugin that another node does not have" "this user cannot mount anything, or mpirun start two programs"
fi
report
