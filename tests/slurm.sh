#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The scripts in slurm/ as they are, under a real Slurm of its own. map.sbatch: a job whose map is drained, by scancel --signal
# and near the end of its walltime, puts itself into the queue again, and goes on, until the output is finished; each row is
# begun once. node.sbatch and core.sbatch: the ranks that they promise, and a clear end where Slurm gave something else.
# With `long` as the third argument, or MPMAP_SLURM_LONG set, also by the time limit of the job itself, a minute, which
# mpmap hears of from Slurm only. Arguments: folder of mpmap, folder of the sources. Needs root and Slurm.
set -uo pipefail
source_folder=${2:-${MPMAP_SOURCE:?}}
is_long=${MPMAP_SLURM_LONG:-${3:-}}
. "$source_folder/tests/support/slurm.sh"

one_host "$@"
. "$source_folder/tests/support/data_sets.sh"
plugin=$test_plugins/napping.so
chmod 755 "$work"

# slurm_up NODES: so many on this host.
slurm_up()
{
    local k nodes=()
    for ((k = 1; k <= $1; k++)); do
        nodes+=("n$k NodeHostname=$(hostname -s) NodeAddr=10.97.0.1 Port=$((17000 + k))")
    done
    slurm_daemons "$(hostname -s)" 10.97.0.1 "${nodes[@]}"
    for ((k = 1; k <= $1; k++)); do
        slurmd -N "n$k" -f "$SLURM_CONF"
    done
    wait_for 60 all_idle "$1"
}

# submit ROWS SECONDS TIME options…: of mpmap map. A map of rows that take so long each.
submit()
{
    local rows=$1 seconds=$2 minutes=$3
    shift 3
    rm -f began.* out.h5* in.h5
    yes "$seconds" | head -n "$rows" >numbers.txt
    text_set in.h5 /nap TEXTFP 32 "$rows"
    id=$(PATH=$bin:$PATH OMPI_MCA_btl=self,tcp \
        sbatch --parsable --nodes=2 --cpus-per-task=2 --mem=100 --time="$minutes" --signal=USR1@1 \
        "$source_folder/slurm/map.sbatch" "$plugin:nap" in.h5:/nap out.h5:/naps "$@" 2>err)
    log=$work/mpmap-$id.log
    cp "$log" out 2>/dev/null || : >out
}

# finished ROWS STARTS
finished()
{
    { cat "$log" && scontrol show job "$id" | grep -E "State|Time"; tail -n 8 slurm/log/slurmctld; } >out 2>err
    check "$what: the job is complete" has_state COMPLETED
    check "$what: it was started $2 times at least" is_started "$2"
    check "$what: the log says that it was drained" says 'drained.* of '"$1"' rows are good'
    check "$what: and that the job is requeued" says 'the job goes back into the queue'
    "$bin/mpmap" status out.h5 >out 2>err
    check "$what: all rows are good" grep -q "$1 of $1 rows are good" out
    check "$what: each was begun once" [ "$(cat began.* | wc -c)" = "$1" ]
}

# run_job SCRIPT options of sbatch… -- program…: until it has ended. Its log is out.
run_job()
{
    local script=$1 options=() try
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    for try in 1 2 3; do
        id=$(PATH=$bin:$PATH OMPI_MCA_btl=self,tcp sbatch --parsable --mem=100 --time=5 "${options[@]}" \
            "$source_folder/slurm/$script.sbatch" "${@:2}" 2>err)
        wait_for 330 has_state "COMPLETED FAILED CANCELLED TIMEOUT"
        cp "mpmap-$id.log" out
        has_died_in_mpi_init out || break
    done
}

# runs RANKS SLOTS: what `mpmap info` said in the job.
runs()
{
    grep -qE "^run +2 nodes, $1 ranks, $2 slots$" out
}

check "Slurm is up" slurm_up 2

run_job node --nodes=2 --cpus-per-task=2 -- mpmap info
check "node.sbatch: a rank on each of Slurm's nodes, with all CPUs it was given" runs 2 4
check "node.sbatch: the log begins with what Slurm gave" grep -qE "^job $id: 2 ranks on 2 nodes \(n\[1-2\]\), 2 CPUs each; 100 MB of memory a node, [0-9:]+ time$" out
run_job node --nodes=1 --ntasks-per-node=2 --cpus-per-task=1 -- mpmap info
check "node.sbatch: two ranks on a node are refused" grep -q '^node.sbatch: 2 ranks on 1 nodes: ' out
check "node.sbatch: the job has failed then" has_state FAILED
for script in map node core; do
    run_job $script --nodes=1 --ntasks-per-node=1 --cpus-per-task=1 --mem=40 -- mpmap info none
    check "$script.sbatch: too little memory is named" grep -q "^$script.sbatch: Slurm gave 40 MB of memory a node: say " out
done
run_job map --nodes=1 --cpus-per-task=1 -- a.so:task
check "map.sbatch: arguments that are missing are named" grep -q '^map.sbatch: 1 of 3 arguments are given: ' out
run_job core --nodes=2 --ntasks-per-node=2 -- mpmap info
check "core.sbatch: a rank a core, with a slot each" runs 4 4
run_job core --nodes=1 -- mpmap info
check "core.sbatch: the option that is missing is named" grep -q '^core.sbatch: Slurm gave no SLURM_NTASKS: say ' out
run_job core --nodes=1 --ntasks=1 --cpus-per-task=2 -- mpmap info
check "core.sbatch: two CPUs a rank are refused" grep -q '^core.sbatch: 2 CPUs a rank: ' out
run_job core --nodes=1 --ntasks=1 -- "$work/none"
check "core.sbatch: a program that is not there is named" grep -q "^core.sbatch: .* does not find the program $work/none$" out

what="scancel --signal, then the walltime of mpmap"
submit 60 0.5 5 --walltime 9
check "$what: it begins" wait_for 60 has_begun 4
scancel --signal=USR1 "$id"
check "$what: it is requeued" wait_for 60 is_started_again 2
until wait_for 3 has_state "COMPLETED FAILED CANCELLED TIMEOUT" || is_started 9; do
    hurry
done
finished 60 2

if [ -n "$is_long" ]; then
    what="the time limit of the job"
    submit 400 0.5 1
    check "$what: it is requeued" wait_for 150 is_started_again 2
    until wait_for 5 has_state "COMPLETED FAILED CANCELLED TIMEOUT" || is_started 9; do
        hurry
    done
    finished 400 2
fi
mapfile -t daemons < <(cat slurm/slurmd-*.pid slurm/slurmctld.pid slurm/munge/pid)
kill "${daemons[@]}"
check "Slurm's daemons end" wait_for 60 none_left "${daemons[@]}" # they write until then
report
