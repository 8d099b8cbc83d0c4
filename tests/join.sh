#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap map --join: runs that share nothing but a folder work on one output. What each of them does and says in plain
# situations; then a campaign, in which 4 runs at a time come and go, and random ones are killed, stopped and continued,
# drained: the result is the same file as that of an undisturbed run, whoever finished it, and at most the rows in flight
# were run twice. Arguments: folder of mpmap, folder of the sources, how many troubles (MPMAP_JOIN_TROUBLES, 12 if not set),
# a seed (by the clock). soak.sh does this with 300.
set -uo pipefail
. "${2:-${MPMAP_SOURCE:?}}/tests/support/data_sets.sh"
troubles=${3:-${MPMAP_JOIN_TROUBLES:-12}}
seed=${4:-$((EPOCHSECONDS % 30000))}
RANDOM=$seed
echo "seed $seed"
rows=300 workers=2 chunk=2
in_flight=$((workers * chunk))
plugin=$test_plugins/noting.so:note
silent=60 # --join-timeout: only where a run is to be taken over it is short, since a machine may be busy
declare -A pid_of
end_all_at_exit

seq 1 $rows >numbers.txt
text_set in.h5 /data TEXTFP 32 $rows
seq 2 $((rows + 1)) >numbers.txt
text_set other.h5 /data TEXTFP 32 $rows

map() # option…: one run
{
    "$bin/mpmap" map "$plugin" in.h5:/data out.h5:/r --chunk $chunk --workers $workers --quiet "$@"
}

# join NAME option…: a run in the background. What it says goes to NAME.err.
join()
{
    local name=$1
    shift
    MPMAP_TEST_MARK=$mark setsid env --default-signal=INT,TERM,USR1 "$bin/mpmap" map "$plugin" in.h5:/data \
        out.h5:/r --chunk $chunk --workers $workers --quiet --join --join-timeout $silent "$@" >"$name.out" 2>"$name.err" \
        </dev/null &
    pid_of[$name]=$!
}

is_over() { none_left "${pid_of[$1]}"; }
# ends NAME STATUS: within a minute.
ends()
{
    wait_for 60 is_over "$1" || return 1
    wait "${pid_of[$1]}"
    status=$?
    cp "$1.err" err
    [ "$status" = "$2" ] || { echo "$1 ended with status $status"; false; }
}
send() # SIGNAL NAME: to the whole run
{
    kill "-$1" $(tree "${pid_of[$2]}") 2>/dev/null
}
calls() { stat -c %s calls 2>/dev/null || echo 0; }
has_called() { [ "$(calls)" -ge "$1" ]; }
says() { grep -qE -- "$1" err; }
status_is() { [ "$status" = "$1" ]; }
nothing_beside() { [ -z "$(ls -d out.h5.* 2>/dev/null)" ]; }
fresh() { rm -rf out.h5* calls go_on ./*.err ./*.out; }
run() { map "$@" >out 2>err; status=$?; }
# The same file, and readable by HDF5.
is_as_undisturbed() { cmp whole.h5 out.h5 && h5diff whole.h5 out.h5; }

export NOTING_MS=4
run
mv out.h5 whole.h5

# 1. Some runs, undisturbed.
fresh
for name in a b c; do join $name; done
for name in a b c; do check "run $name ends well" ends $name 0; done
check "three runs make the same file as one" is_as_undisturbed
check "nothing else is left" nothing_beside
check "each row was run once ($(calls))" [ "$(calls)" = $rows ]
run --join
check "who comes too late is told that all is done" status_is 0
check "by a sentence" says 'out.h5 is finished: it has all 300 rows'

# 2. Who looks from outside sees all of them; what is refused.
fresh
NOTING_HOLDS=20 join a
wait_for 60 has_called 20
NOTING_HOLDS=200 join b
shows_both() { "$bin/mpmap" status out.h5 >out && [ "$(grep -cE "^  $(hostname), pid [0-9]+: [1-9][0-9]* rows done, 0 failed, [0-9]+ claimed; [0-9]+ s, last beat [0-9]+ s ago" out)" = 2 ]; }
check "status shows both runs" wait_for 60 shows_both
check "by their processes" grep -qE "pid (${pid_of[a]}|${pid_of[b]}):" out
check "and all of it" grep -qE '^2 runs have joined, [0-9]+ rows claimed, [0-9.]+ rows/s, about [0-9]+ s left' out
"$bin/mpmap" status out.h5 --json >out
check "as JSON, too" python3 -c 'import json, sys; s = json.load(open("out")); sys.exit(len(s["runs"]) != 2 or s["runs"][0]["pid"] <= 0)'
"$bin/mpmap" map "$plugin" other.h5:/data out.h5:/r --join >out 2>err
check "another map cannot join" [ $? = 1 ]
check "and is told in what it differs" says 'out.h5.part belongs to another map: the input file was .*in.h5 and is .*other.h5 now'
run --resume
check "a run that does not join cannot take it over" says 'another run is writing .*out.h5.part: wait for it'
touch go_on
check "the others go on" ends a 0
check "both of them" ends b 0
check "and makes the whole file" is_as_undisturbed
for option in --restart "--resume=force" --overwrite "--max-failures 3" "--resume --retry-failed"; do
    run --join $option
    check "--join does not go with $option" says '--join and --.* do not go together'
    check "which is wrong usage" status_is 2
done

# 3. A part that a killed run has left is joined; one that joined runs have left is gone on with by a run alone.
fresh
MPMAP_TEST_MARK=$mark NOTING_HOLDS=100 map >out 2>err &
pid_of[a]=$!
wait_for 60 has_called 100
send KILL a
wait "${pid_of[a]}" 2>/dev/null
wait_for 60 no_process_is_left
join b
join c
check "runs join a part that one alone has left" ends b 0
check "both" ends c 0
check "with the same result" is_as_undisturbed
check "and run no more rows twice than were in flight ($(calls))" [ "$(calls)" -le $((rows + in_flight)) ]
fresh
NOTING_HOLDS=100 join a
NOTING_HOLDS=100 join b
wait_for 60 has_called 100
send KILL a
send KILL b
wait_for 60 no_process_is_left
run
check "what joined runs have left is not thrown away" says 'out.h5.part has [0-9]+ of 300 rows of this same map: --resume'
run --resume
check "a run alone goes on with it" status_is 0
check "with the same result, too" is_as_undisturbed
check "and nothing else is left" nothing_beside
check "nor does it run more rows twice ($(calls))" [ "$(calls)" -le $((rows + 2 * in_flight)) ]

# 4. A drain.
fresh
NOTING_HOLDS=60 join a
NOTING_HOLDS=60 join b
wait_for 60 has_called 60
kill -TERM "${pid_of[a]}"
check "a run that is to drain says so" wait_for 60 grep -q 'draining: no more rows start' a.err
touch go_on
check "a run that is drained says so by its status" ends a 75
check "and in words" says 'the map was drained.* rows are good: they are in .*out.h5.part'
check "the other one does the rest" ends b 0
check "with the same result" is_as_undisturbed
check "and no row twice" [ "$(calls)" = $rows ]

# 5. Rows that fail: noted by whoever runs them, and said by all in the end.
fresh
export NOTING_FAILS=200
join a
join b
for name in a b; do
    check "a row that fails is an error of each run" ends $name 1
    check "which says so" says '1 of 300 rows failed'
done
check "its mark is 2, and its result 0" [ "$(values out.h5 /r.done | tr -dc 2)$(values out.h5 /r | tr , '\n' | sed -n '1593,1600p' | sort -u)" = 20 ]
unset NOTING_FAILS
run --resume --retry-failed
check "such a file can be completed" is_as_undisturbed

# 6. A run that is stopped until others have finished the file, and taken over: it does no harm when it goes on.
fresh
silent=2
NOTING_HOLDS=20 join a
wait_for 60 has_called 20
send STOP a
touch go_on
join b
check "another run takes over what a stopped one has" ends b 0
check "and finishes the file" is_as_undisturbed
check "with nothing beside it" nothing_beside
send CONT a
check "the stopped one ends well, too" ends a 0
check "and has changed nothing" is_as_undisturbed
check "nor left anything" nothing_beside

# 7. The campaign. A trouble is done to one of 4 runs; one that is gone is replaced.
silent=3
names=(p q r s)
stopped=
trouble() # NAME
{
    case $((RANDOM % 4)) in
        0) send KILL "$1"; kills=$((kills + 1)) ;;
        1) kill -TERM "${pid_of[$1]}" 2>/dev/null ;;
        2) [ -n "$stopped" ] || { send STOP "$1"; stopped=$1; kills=$((kills + 1)); } ;;
        3) [ -z "$stopped" ] || { send CONT "$stopped"; stopped=; } ;;
    esac
    done_troubles=$((done_troubles + 1))
}
is_one_of() { [[ " $2 " = *" $1 "* ]]; }
done_troubles=0
for ((round = 0; done_troubles < troubles; round++)); do
    fresh
    kills=0
    for name in "${names[@]}"; do join "$name"; done
    while [ ! -e out.h5 ]; do
        read -rt "0.$((RANDOM % 4))$((RANDOM % 10))" <> <(:) || true
        name=${names[RANDOM % 4]}
        if is_over "$name"; then
            wait "${pid_of[$name]}"
            status=$?
            cp "$name.err" err
            check "round $round: $name has ended as it should ($status)" is_one_of $status "0 75 137 143"
            [ "$failed" = 0 ] || break 2
            [ -e out.h5 ] || join "$name"
        elif [ ! -e out.h5 ] && is_named mpmap "${pid_of[$name]}"; then # until then it is this shell, with its traps
            trouble "$name"
        fi
    done
    [ -z "$stopped" ] || send CONT "$stopped"
    stopped=
    for name in "${names[@]}"; do
        check "round $round: $name ends" wait_for 60 is_over "$name"
        wait "${pid_of[$name]}"
        status=$?
        cp "$name.err" err
        check "round $round: as it should ($status)" is_one_of $status "0 75 137 143"
    done
    wait_for 60 no_process_is_left
    run --join # removes what one has left that was killed after its last step
    check "round $round: the result is that of an undisturbed run (seed $seed)" is_as_undisturbed
    check "round $round: nothing is left" nothing_beside
    check "round $round: at most the rows in flight were run twice: $(calls) calls, $kills kills and stops" \
        [ "$(calls)" -le $((rows + kills * in_flight)) ]
done
echo "$done_troubles troubles in $round rounds"
report
