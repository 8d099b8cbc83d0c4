#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap map that is drained by signals, at random instants, on one node and on three virtual ones: it ends with status 75
# and says how far it is, what was begun is done, and the same command with --resume goes on, so that each row is begun
# once in all. A second signal ends it at once. Arguments: folder of mpmap, folder of the sources, how many drains (10 if
# not), and a seed (by the clock).
set -uo pipefail
. "${2:-${MPMAP_SOURCE:?}}/tests/support/data_sets.sh"
drains=${3:-10}
seed=${4:-$((EPOCHSECONDS % 30000))}
RANDOM=$seed
echo "seed $seed"
rows=120
launches=("env" "env MPMAP_RANKS_PER_NODE=1 mpirun -n 3")

# data ROWS SECONDS: rows that take so long.
data()
{
    rm -f in.h5 out.h5* began.*
    yes "$2" | head -n "$1" >numbers.txt
    text_set in.h5 /nap TEXTFP 32 "$1"
}

# start options…: of mpmap map.
start()
{
    keep_books
    MPMAP_TEST_MARK=$mark setsid env --default-signal=INT,TERM,USR1 $launch "$bin/mpmap" map "$test_plugins/napping.so:nap" \
        in.h5:/nap out.h5:/naps --workers 6 "$@" >out 2>err </dev/null &
    started=$!
}

begun() { cat began.* 2>/dev/null | wc -c; }
has_begun() { [ "$(begun)" -ge "$1" ]; }
main() { named mpmap $(tree "$started") | head -n 1; }
# Which signals mpirun hands on: USR1 only; others go to main itself.
signal()
{
    if [[ "$launch" = *mpirun* && "$1" = USR1 ]]; then
        kill -USR1 "$started"
    else
        kill "-$1" "$(main)"
    fi
}
is_over() { ! kill -0 "$started" 2>/dev/null; }
says() { grep -qE -- "$1" err; }
status_is() { [ "$status" = "$1" ]; }

# A signal that comes when the run has ended is no concern of the map's, which is complete: it ends what is left of the program,
# or mpirun.
came_too_late()
{
    [ "$status" -gt 128 ] && grep -q '; complete$' <<<"$("$bin/mpmap" status out.h5 2>/dev/null)"
}

# Drains it until all is done, which takes some starts.
drain_and_resume() # signal
{
    local before=0 some=$((RANDOM % 20 + 1))
    data "$rows" 0.05
    for ((starts = 1; starts <= 40; starts++)); do
        start --resume
        wait_for 60 eval "has_begun $((before + some)) || is_over"
        read -rt "0.0$((RANDOM % 90 + 10))" <> <(:) || true
        signal "$1" 2>/dev/null
        check "$what: it ends within the grace" wait_for 60 is_over
        wait "$started"
        status=$?
        check "$what: nothing is left" wait_for 60 nothing_is_left
        [ "$status" = 75 ] || break
        done_drains=$((done_drains + 1))
        check "$what: it says how far it is" says "^mpmap: the map was drained"
        "$bin/mpmap" status out.h5 >out
        before=$(begun)
        check "$what: what was begun is done" [ "$(grep -oE '[0-9]+ of' out | head -n 1)" = "$before of" ]
    done
    came_too_late || check "$what: it comes to its end" status_is 0
    check "$what: each row was begun once" [ "$(begun)" = "$rows" ]
    check "$what: all rows are good" grep -q "^out.h5: $rows of $rows rows are good" <("$bin/mpmap" status out.h5)
}

done_drains=0
signals=(USR1 TERM INT)
for ((round = 0; done_drains < drains; round++)); do
    launch=${launches[round % 2]}
    name=${signals[round % 3]}
    what="round $round, '$launch', $name, seed $seed"
    drain_and_resume "$name"
    [ "$failed" = 0 ] || break
done

# Whether all ranks have a handler of SIGUSR1: mpirun waits for ever, now and then, for a rank that dies in MPI_Init.
all_take_signals()
{
    local pid caught ranks=0
    for pid in $(named mpmap $(tree "$started")); do
        caught=$(awk '$1 == "SigCgt:" { print $2 }' "/proc/$pid/status" 2>/dev/null)
        (((0x${caught:-0} >> ($(kill -l USR1) - 1)) & 1)) || return 1
        ranks=$((ranks + 1))
    done
    [ $ranks = 3 ] || is_over
}

# At any instant of a run's life, its start and its end included; under mpirun from where all ranks take signals. Before it
# takes signals a run is ended by one, as any program is: then nothing was begun.
drain_at_any_instant() # the most milliseconds
{
    data 60 0.01
    for ((starts = 1; starts <= 10; starts++)); do
        local before after after_ms=$((RANDOM % $1))
        before=$(begun)
        start --resume --grace 5
        [[ "$launch" != *mpirun* ]] || check "$what: all ranks take signals" wait_for 60 all_take_signals
        read -rt "$(printf '%d.%03d' $((after_ms / 1000)) $((after_ms % 1000)))" <> <(:) || true
        signal "$name" 2>/dev/null
        check "$what: it ends" wait_for 60 is_over
        wait "$started"
        status=$?
        after=$(begun)
        check "$what: nothing is left" wait_for 60 nothing_is_left
        case $status in
        75)
            instants=$((instants + 1))
            check "$what: it says that it was drained" says '^mpmap: the map was drained'
            ;;
        0) break ;;
        *) came_too_late || check "$what: status $status: nothing was begun" [ "$after" = "$before" ] ;;
        esac
    done
    start --resume
    wait "$started"
    status=$?
    check "$what: it comes to its end" status_is 0
    check "$what: each row was begun once" [ "$(begun)" = 60 ]
    check "$what: all rows are good" grep -q "^out.h5: 60 of 60 rows are good" <("$bin/mpmap" status out.h5)
}

# How many milliseconds such a map takes that nobody drains.
lasts_ms=()
for launch in "${launches[@]}"; do
    data 60 0.01
    begun_us=${EPOCHREALTIME/./}
    start
    wait "$started"
    check "a map that nobody drains, '$launch'" [ $? = 0 ]
    lasts_ms+=($(((${EPOCHREALTIME/./} - begun_us) / 1000)))
done
instants=0 wanted=$((drains < 20 ? drains / 2 : drains))
for ((round = 0; instants < wanted && round < 5 * drains; round++)); do
    launch=${launches[round % 2]}
    name=${signals[round % 3]}
    what="any instant, round $round, '$launch', $name, seed $seed"
    drain_at_any_instant "${lasts_ms[round % 2]}"
    [ "$failed" = 0 ] || break
done
# On a machine that is very busy none may come between a start and an end: those above and below are in time for sure.
echo "$instants drains at any instant, in $round rounds"

for launch in "${launches[@]}"; do
    what="rows that take long, '$launch'"
    data 20 1000
    start
    check "$what: it runs" wait_for 60 has_begun 6
    signal USR1
    check "$what: it says that it drains" wait_for 60 says '^mpmap: draining: .*; at least 0 of 20 rows are good$'
    check "$what: it waits for rows that run" kill -0 "$started"
    signal TERM
    check "$what: a second signal ends it at once" wait_for 60 is_over
    wait "$started"
    status=$?
    check "$what: as a signal does" [ "$status" != 75 -a "$status" != 0 ]
    check "$what: nothing is left" wait_for 60 nothing_is_left

    what="a grace that is over, '$launch'"
    data 20 1000
    start --grace 0.5
    check "$what: it runs" wait_for 60 has_begun 6
    signal USR1
    check "$what: it ends" wait_for 60 is_over
    wait "$started"
    status=$?
    check "$what: with status 75" status_is 75
    check "$what: and says so" says '^mpmap: the map was drained$'
    check "$what: no row was begun in the drain" [ "$(begun)" = 6 ]
    check "$what: nothing is left" wait_for 60 nothing_is_left
done

launch=env
what="the walltime"
data 2000 0.05
start --walltime 3
wait "$started"
status=$?
check "$what: with status 75" status_is 75
check "$what: it says how much is good" says '^mpmap: the map was drained; [1-9][0-9]* of 2000 rows are good'
mkdir batch
printf '#!/bin/sh\necho "$* $ANSWER" >>asked\necho "$ANSWER"\n' >batch/squeue
chmod +x batch/squeue
for answer in 0:03 3 00:00:03 0-00:00:03; do
    what="Slurm says that $answer is left"
    data 2000 0.05
    launch="env SLURM_JOB_ID=17 PATH=$work/batch:$PATH ANSWER=$answer"
    start
    wait "$started"
    status=$?
    check "$what: with status 75" status_is 75
    check "$what: it says how much is good" says '^mpmap: the map was drained; [1-9][0-9]* of 2000 rows are good'
done
check "squeue was asked for the job, once a map" [ "$(grep -c '^-h -j 17 -o %L ' asked)" = 4 ]
what="a job of an array"
data 10 0.05
launch="env SLURM_JOB_ID=17 SLURM_ARRAY_JOB_ID=17 SLURM_ARRAY_TASK_ID=6 PATH=$work/batch:$PATH ANSWER=UNLIMITED"
start
wait "$started"
check "$what: squeue is asked for it by both numbers" grep -q '^-h -j 17_6 -o %L ' asked
what="the end of the job's time is in the environment"
data 2000 0.05
launch="env SLURM_JOB_ID=17 SLURM_JOB_END_TIME=$((EPOCHSECONDS + 3)) PATH=$work/batch:$PATH"
start
wait "$started"
status=$?
check "$what: with status 75" status_is 75
for answer in UNLIMITED INVALID "" 1:x; do
    what="Slurm says '$answer'"
    data 10 0.05
    launch="env SLURM_JOB_ID=17 PATH=$work/batch:$PATH ANSWER=$answer"
    start
    wait "$started"
    status=$?
    check "$what: there is no limit" status_is 0
done
launch=env
for wrong in "--grace 0" "--walltime -1" "--walltime soon"; do
    what="'$wrong' is refused"
    start $wrong
    wait "$started"
    status=$?
    check "$what" status_is 2
done
report
