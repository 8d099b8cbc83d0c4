#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Kills parts of a run, and sees that what the kernel ties to them ends, and the rest, too (or goes on, if a host of several has
# died), says who died where somebody is left to, and leaves no process and nothing in /dev/shm. (vader_segment.* are files of
# Open MPI's own transport.) Other ranks end when their launcher tells them; it sleeps for a second before.
bin=${1:-$MPMAP_BIN}
program=$(dirname "$bin")/tests/long_run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "${2:-$MPMAP_SOURCE}/tests/support/processes.sh"

# Starts a run: start NAME ranks ranks-per-node arguments of long_run
start()
{
    local ranks=$1 per_node=$2
    shift 2
    keep_books
    : >"$work/out"
    if [ "$ranks" = 0 ]; then
        env --default-signal=INT "$program" "$@" >"$work/out" 2>"$work/err" &
    else
        MPMAP_RANKS_PER_NODE=$per_node env --default-signal=INT mpirun -n "$ranks" "$program" "$@" >"$work/out" 2>"$work/err" &
    fi
    started=$!
    wait_for 60 is_running || echo "the run does not start"
    mapfile -t all < <(tree "$started")
    mapfile -t mains < <(named long_run "${all[@]}")
    told=()
    [ "$ranks" = 0 ] || told=("${mains[@]}")
    mapfile -t hosts < <(named mpmap-forker "${all[@]}")
    mapfile -t workers < <(named mpmap-worker "${all[@]}")
}

# Kills a rank; what it has forked ends with it. `told` are the others.
kill_rank() # what pid
{
    local own
    mapfile -t own < <(tree "$2")
    mapfile -t told < <(printf '%s\n' "${mains[@]}" | grep -vx "$2")
    kill -KILL "$2"
    check "$1: its own processes end" wait_for 60 none_left "${own[@]}"
}

# What must be so after anybody's death. In /dev/shm Open MPI's launcher tidies up a little after its ranks.
check_end() # what
{
    [ "${#told[@]}" = 0 ] || check "$1: the other ranks are told" wait_for 60 one_is_gone "${told[@]}"
    check "$1: all processes end" wait_for 60 none_left "${mains[@]}" "${hosts[@]}" "${workers[@]}"
    check "$1: the launcher ends" wait_for 60 none_left "${all[@]}"
    kill -KILL "${all[@]}" 2>/dev/null
    wait "$started" 2>/dev/null
    code=$?
    check "$1: the run fails" [ "$code" != 0 ]
    check "$1: nothing is left in /dev/shm" wait_for 60 no_file_is_left
}

# Kills a host; its workers are kept in mind.
lose_host() # pid
{
    mapfile -t lost < <(tree "$1")
    kill -KILL "$1"
}

said() # rank: that its host was lost
{
    grep -q "the fork server process of rank $1 .*SIGKILL.* lost" "$work/err"
}

# A run that has lost one host of several goes on without that one's workers, until it is interrupted.
check_going_on() # what
{
    check "$1: its workers end with it" wait_for 60 none_left "${lost[@]}"
    check "$1: the others go on" kill -0 "${mains[@]}"
    kill -INT "$started"
}

for launch in "0 9" "1 9" "4 9" "2 1" "4 2"; do
    read -r ranks per_node <<<"$launch"
    title="$ranks ranks, at most $per_node a node"

    start "$ranks" "$per_node" map
    check "$title: there are hosts and workers" [ "${#hosts[@]}" -ge 1 -a "${#workers[@]}" -ge 1 ]
    kill_rank "$title, main killed" "${mains[0]}"
    check_end "$title, main killed"

    start "$ranks" "$per_node" map
    lose_host "${hosts[0]}"
    check "$title: it is said that main's host died" wait_for 60 said 0
    [ "${#hosts[@]}" = 1 ] || check_going_on "$title, main's host killed"
    check_end "$title, main's host killed"

    start "$ranks" "$per_node" map
    kill -INT "$started"
    check_end "$title, interrupted"

    start "$ranks" "$per_node" map
    kill -TERM "$started"
    check_end "$title, terminated"

    [ "$ranks" -gt 1 ] || continue
    start "$ranks" "$per_node" map
    kill_rank "$title, last rank killed" "${mains[-1]}"
    check_end "$title, last rank killed"

    start "$ranks" "$per_node" map
    lose_host "${hosts[-1]}"
    check "$title: it is said which host died" wait_for 60 said $((ranks - 1))
    check_going_on "$title, last host killed"
    check_end "$title, last host killed"
done
report
