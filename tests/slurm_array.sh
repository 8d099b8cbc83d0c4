#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# slurm/array.sbatch as it stands, under a real Slurm of its own: an array of 4 jobs joins one output. The last one, whose
# own number is that of the array, is told to drain, and requeues itself and no other; another one is canceled, and drains;
# the kill of one more, and of all that it has started, costs the rows that it was running. Arguments: folder of mpmap,
# folder of the sources. Needs root and Slurm.
set -uo pipefail
source_folder=${2:-${MPMAP_SOURCE:?}}
. "$source_folder/tests/support/slurm.sh"

one_host "$@"
. "$source_folder/tests/support/data_sets.sh"
plugin=$test_plugins/napping.so
rows=400
chmod 755 "$work"
slurm_daemons "$(hostname -s)" 10.97.0.1 "n1 NodeHostname=$(hostname -s) NodeAddr=10.97.0.1 Port=17001" \
    "n2 NodeHostname=$(hostname -s) NodeAddr=10.97.0.1 Port=17002"
for k in 1 2; do slurmd -N "n$k" -f "$SLURM_CONF"; done
wait_for 60 all_idle 2
yes 0.3 | head -n $rows >numbers.txt
text_set in.h5 /nap TEXTFP 32 $rows

submit() # options of sbatch
{
    id=$(PATH=$bin:$PATH sbatch --parsable --mem=100 --time=10 "$@" "$source_folder/slurm/array.sbatch" "$plugin:nap" \
        in.h5:/nap out.h5:/naps --join-timeout 10 --chunk 1 --block-rows 1 2>err)
}
begun() { cat began.* 2>/dev/null | wc -c; }
has_begun() { [ "$(begun)" -ge "$1" ]; }
says() { grep -qs -- "$2" "mpmap-${id}_$1.log"; }
all_logs() { cat "mpmap-${id}_"*.log >out 2>/dev/null; }
# How many logs have that line.
logs_say() { [ "$(cat "mpmap-${id}_"*.log 2>/dev/null | grep -c -- "$2")" -ge "$1" ]; }
queue_is_empty() { [ -z "$(squeue -h)" ]; }
is_finished() { "$bin/mpmap" status out.h5 >status 2>&1 && grep -q "^out.h5: $rows of $rows rows are good, 0 failed, 0 left; complete" status; }
# Processes of a job of the array, but for its script.
maps_of()
{
    local file
    for file in $(grep -lzsx "SLURM_ARRAY_TASK_ID=$1" /proc/[0-9]*/environ); do
        is_named slurm_script "$(cut -d/ -f3 <<<"$file")" || cut -d/ -f3 <<<"$file"
    done
}
is_told() { grep -qs 'Slurm gave no SLURM_ARRAY_TASK_ID: say --array=1-N' "mpmap-${id}_"*.log; }

submit --array=1-4 --cpus-per-task=1
check "jobs of the array begin" wait_for 60 has_begun 20
check "all of them join" wait_for 60 logs_say 4 '% busy'
victims=$(maps_of 2)
check "one is at work" test -n "$victims"
kill -KILL $victims
scancel --signal=USR1 --batch "${id}_4" 2>/dev/null # it says that it cannot, and does
check "one that is drained says so" wait_for 60 says 4 'the map was drained'
check "and goes back into the queue" wait_for 60 says 4 'the job goes back into the queue'
wait_for 120 has_begun 300
scancel "${id}_3"
check "one that is canceled drains, too" wait_for 60 says 3 'the map was drained'
check "the others finish the output" wait_for 120 is_finished
check "none of them was drained, or put back" [ "$(cat "mpmap-${id}_"[12].log | grep -cE 'drained|REQUEUE|, start 2')" = 0 ]
all_logs
check "rows in flight only were run twice: $(begun) of $rows" [ "$(begun)" -le $((rows + 2)) ]
check "nothing is left beside the output" [ -z "$(ls -d out.h5.* 2>/dev/null)" ]
scancel "$id"
wait_for 60 queue_is_empty
submit --cpus-per-task=1
check "a job that is no array is told" wait_for 60 is_told
report
