#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Ctrl-C, which is SIGINT to the whole foreground group, and SIGTERM to main, in the middle of each call of a pool:
# the run ends, with all its processes and its launcher, and leaves nothing in /dev/shm. How soon is said (doc/failures.md has
# it of a quiet machine), and has no bound here but one against hanging. The end of a run, whatever it is, is no SIGHUP for
# a script that has no terminal and in which something is stopped.
bin=${1:-$MPMAP_BIN}
program=$(dirname "$bin")/tests/interrupted
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "${2:-$MPMAP_SOURCE}/tests/support/processes.sh"

# start CALL command…: in a group of its own, as a terminal does it.
start()
{
    local call=$1
    shift
    keep_books
    : >"$work/out"
    MPMAP_TEST_MARK=$mark setsid env --default-signal=INT "$@" "$program" "$call" >"$work/out" 2>"$work/err" &
    started=$!
    wait_for 60 is_running || echo "the run does not start"
    mapfile -t all < <(tree "$started")
    mapfile -t ours < <(named interrupted "${all[@]}"; named mpmap-forker "${all[@]}"; named mpmap-worker "${all[@]}")
    mapfile -t mains < <(named interrupted "${all[@]}")
}

check_end() # what
{
    local begun_us=${EPOCHREALTIME/./}
    check "$1: there are main and host" [ "${#ours[@]}" -ge 2 ]
    check "$1: all processes are gone" wait_for 60 none_left "${ours[@]}"
    echo "$1: all processes were gone after $(((${EPOCHREALTIME/./} - begun_us) / 1000)) ms"
    check "$1: the launcher ends" wait_for 60 none_left "${all[@]}"
    kill -KILL "${all[@]}" 2>/dev/null
    wait "$started" 2>/dev/null
    check "$1: nothing is left" wait_for 60 nothing_is_left
}

for call in map wait apply imap blobs close terminate; do
    for launch in "env" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 2"; do
        start "$call" $launch
        kill -INT -- "-$started"
        check_end "$call, '$launch', Ctrl-C"

        start "$call" $launch
        kill -TERM "${mains[0]}"
        check_end "$call, '$launch', main terminated"
    done
done

# in_script COMMAND…: without a terminal, beside a process that is stopped. Its process group has no parent but those that a
# run has elsewhere.
in_script()
{
    : >"$work/out"
    MPMAP_TEST_MARK=$mark setsid bash -c 'sleep 1000 &
        kill -STOP $!
        "$@"
        while pgrep -s 0 "^mpmap-" >/dev/null; do :; done
        echo "the script goes on"
        kill -KILL $!' - "$@" >"$work/out" 2>"$work/err" &
    started=$!
}
goes_on()
{
    wait_for 60 none_left "$started"
    pkill -KILL -s "$started" sleep # the one that is stopped
    grep -q "^the script goes on$" "$work/out"
}

what="a script with something that is stopped"
keep_books
in_script "$bin/examples/04_pool"
check "$what: it goes on after a run" goes_on
in_script env --default-signal=INT "$program" map
wait_for 60 is_running || echo "the run does not start"
kill -KILL $(named interrupted $(tree "$started"))
check "$what: it goes on after a run whose main was killed" goes_on
check "$what: nothing is left" wait_for 60 nothing_is_left
report
