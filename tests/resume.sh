#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps over a data set of which the whole run is killed by SIGKILL, and which go on: before each single step that main does
# on the disk, and at random instants, on one node and on three virtual ones. However often that happens, the result is
# the same bytes as of a run that nobody has disturbed, and no more rows are run twice than were in flight. Then what a
# user sees: statuses, sentences. Arguments: folder of mpmap, folder of the sources, how many random kills in each launch
# (MPMAP_RESUME_KILLS, 15 if not set), a seed (by the clock). soak.sh does this with 300.
set -uo pipefail
source_folder=${2:-${MPMAP_SOURCE:?}}
. "$source_folder/tests/support/data_sets.sh"
. "$source_folder/tests/support/mpirun.sh"
. "$source_folder/tests/support/step_deaths.sh"
kills=${3:-${MPMAP_RESUME_KILLS:-15}}
RANDOM=${4:-$((EPOCHSECONDS % 30000))}
seed=${4:-by the clock}
rows=200 workers=3 chunk=2
in_flight=$((workers * chunk))
plugin=$test_plugins/noting.so:note
export OMPI_MCA_btl_base_warn_component_unused=0

seq 1 $rows >numbers.txt
text_set in.h5 /data TEXTFP 32 $rows

# map_to OUT.h5 option…, with the words of `launcher` before it.
map_to()
{
    local out=$1
    shift
    "${launcher[@]}" "$bin/mpmap" map "$plugin" in.h5:/data "$out:/r" --chunk $chunk --workers $workers "$@"
}

# The bytes of results and marks.
bytes_of()
{
    h5dump -d /r -b LE -o results.raw "$1" >/dev/null && h5dump -d /r.done -b LE -o marks.raw "$1" >/dev/null &&
        cat results.raw marks.raw
}

is_as_undisturbed() { cmp -s whole.raw <(bytes_of "$1"); }
calls() { stat -c %s calls 2>/dev/null || echo 0; }
says() { grep -qF -- "$1" err; }
status_is() { [ "$status" = "$1" ]; }

run() # OUT.h5 option…: to its end
{
    map_to "$@" >out 2>err
    status=$?
}

launcher=(env)
run whole.h5 --quiet
check "an undisturbed run" status_is 0
bytes_of whole.h5 >whole.raw
check "has all bytes" [ "$(stat -c %s whole.raw)" = $((rows * 65)) ]

# 1. Before each step on the disk of main: a run that dies, then one that goes on.
step_is_survived() # N
{
    rm -f out.h5 out.h5.part out.h5.part.new calls
    dies_before "$1" run out.h5 --quiet || return 1
    run out.h5 --quiet --resume
    check "main died before step $1, and the map went on" status_is 0
    check "its result is that of an undisturbed run (step $1)" is_as_undisturbed out.h5
    check "its file has nothing at its end (step $1)" cmp -s out.h5 whole.h5
    check "no row was run twice but those in flight (step $1)" [ "$(calls)" -le $((rows + in_flight)) ]
    check "nothing else is left (step $1)" [ -z "$(ls out.h5.part* 2>/dev/null)" ]
}

export NOTING_MS=0
if try_steps 1; then
    check "there were steps ($steps)" [ $steps -ge 10 ]
fi

# 2. At random instants.
export NOTING_MS=4
kill_all() # a run that is going
{
    local pids
    pids=$(tree "$1")
    kill -KILL $pids 2>/dev/null
    wait "$1" 2>/dev/null
    wait_for 60 no_process_is_left
}

complete() # kills so far
{
    check "the map is complete after $1 kills ('${launcher[*]}')" status_is 0
    check "its result is that of an undisturbed run" is_as_undisturbed out.h5
    check "at most the rows in flight were run twice: $(calls) calls, $1 kills" \
        [ "$(calls)" -le $((rows + $1 * in_flight)) ]
    rm -f out.h5 calls
}

torment() # the most milliseconds before a kill
{
    local killed=0 of_this=0 started
    rm -f out.h5* calls
    while [ $killed -lt "$kills" ]; do
        MPMAP_TEST_MARK=$mark map_to out.h5 --quiet --resume >out 2>err &
        started=$!
        read -rt "$(printf '0.%03d' $((RANDOM % $1)))" <> <(:) || true
        if none_left $started; then
            wait $started
            status=$?
            complete $of_this
            of_this=0
        else
            kill_all $started
            killed=$((killed + 1)) of_this=$((of_this + 1))
        fi
    done
    run out.h5 --quiet --resume
    complete $of_this
    echo "'${launcher[*]}': $killed kills, seed $seed"
}

torment 250
launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
torment 999
launcher=(env)

# 3. What a user sees.
leave_part()
{
    rm -f out.h5* calls
    MPMAP_TEST_MARK=$mark map_to out.h5 --quiet >out 2>err &
    started=$!
    wait_for 60 test -s calls
    wait_for 60 has_good_rows
    check "a run is seen at work" mapped_by_somebody
    kill_all $started
}
has_good_rows() { grep -qE '^out.h5: [1-9][0-9]* of 200 rows are good' <<<"$("$bin/mpmap" status out.h5 2>/dev/null)"; }
mapped_by_somebody() { grep -q 'left; a run is working on it$' <<<"$("$bin/mpmap" status out.h5)"; }
leave_part
check "no run is at work on what a killed one has left" grep -q 'no run is working on it$' <("$bin/mpmap" status out.h5)
check "status --json" grep -qE '^{"output": "out.h5", "rows": 200, "good": [0-9]+, "failed": 0, "left": [0-9]+, "complete": false, "running": false}$' \
    <("$bin/mpmap" status out.h5 --json)
cp out.h5.part left
run out.h5
check "rows are not thrown away" status_is 1
check "which is said" grep -qE 'out.h5.part has [0-9]+ of 200 rows of this same map: --resume .* continues it, and --restart' err
check "and true" cmp -s left out.h5.part
run out.h5 --resume --result 'f64[9]'
check "another result is refused" says 'the result'"'"'s type and shape was f64[8] and is f64[9] now'
cp "$test_plugins/noting.so" other.so
printf x >>other.so
"$bin/mpmap" map other.so:note in.h5:/data out.h5:/r --resume >out 2>err
check "another plugin is refused" says 'the checksum of the file with the task was '
check "and nothing is touched" cmp -s left out.h5.part
"$bin/mpmap" map other.so:note in.h5:/data out.h5:/r --resume=force >out 2>err
check "unless it is forced, which is said" says 'ignored: the checksum of the file with the task was '
check "and the map is complete" is_as_undisturbed out.h5
sum=$(sed -nE 's/^mpmap: ([0-9]+) rows? in [0-9.]+ s, and ([0-9]+) before, .*/\1 + \2/p' err)
check "the summary tells rows of this run from those of earlier ones" [ $((sum)) = $rows ]
leave_part
run out.h5 --restart --quiet
check "--restart begins with the first row" [ "$(calls)" -ge $rows ]
run out.h5 --resume
check "a finished output is no error" status_is 0
check "it is said" says 'out.h5 is finished: it has all 200 rows'
check "status says so" grep -q '^out.h5: 200 of 200 rows are good, 0 failed, 0 left; complete$' <("$bin/mpmap" status out.h5)
"$bin/mpmap" status none.h5 >out 2>err
check "no map at all has no status" says 'there is neither none.h5.part nor none.h5'

# held_while COMMAND…: what somebody does in the middle of a map.
held_while()
{
    rm -f out.h5*
    NOTING_HOLDS=20 hold_at 20 "$bin/mpmap" map "$plugin" in.h5:/data out.h5:/r
    "$@"
    touch go_on
    wait "$held"
    status=$?
    check "a part that has another name by the end is an error" status_is 1
}
mkdir there
held_while mv out.h5.part there
check "it is told where it is" says "; $rows of $rows rows are good: they are in $(pwd -P)/there/out.h5.part"
mv there/out.h5.part .
run out.h5 --resume
check "from there it goes on" is_as_undisturbed out.h5
held_while rm out.h5.part
check "a part that was removed is told to be lost" \
    says '/out.h5.part was removed while the map was writing it, and its results are lost: run it again'
report
