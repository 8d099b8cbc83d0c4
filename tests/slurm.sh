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
PATH=$PATH:/usr/sbin

lack()
{
    local tool
    for tool in unshare ip munged slurmctld slurmd sbatch srun squeue scontrol scancel setpriv h5import h5dump mpirun; do
        [ "$(type -t $tool)" = file ] || { echo "there is no $tool"; return; }
    done
    [ "$(id -u)" = 0 ] || { echo "it needs root"; return; }
    id -u munge >/dev/null 2>&1 || { echo "there is no user munge"; return; }
    grep -q '(Open MPI) 4' <<<"$(mpirun --version 2>/dev/null)" || { echo "mpirun is none of Open MPI 4"; return; }
    unshare -m -n -p -f --mount-proc sh -c 'ip link add b0 type bridge' 2>/dev/null ||
        echo "no namespaces, or no network in them, can be made here"
}

if [ -z "${IN_NAMESPACES:-}" ]; then
    missing=$(lack)
    [ -z "$missing" ] || { echo "skipped, because $missing"; exit 0; }
    IN_NAMESPACES=1 exec unshare -m -n -p -f --kill-child --mount-proc bash "$0" "$@"
fi
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
ip link add b0 type bridge # names are looked up only where there is a network
ip addr add 10.97.0.1/24 dev b0
ip link set b0 up
. "$source_folder/tests/support/data_sets.sh"
plugin=$test_plugins/napping.so
chmod 755 "$work"

# slurm_up NODES: so many slurmd, of 2 CPUs each, on this host.
slurm_up()
{
    local me k
    me=$(hostname -s)
    mkdir -p slurm/{state,spool,log,munge}
    chown munge:munge slurm/{munge,log}
    head -c 128 /dev/urandom >slurm/munge/key
    chown munge:munge slurm/munge/key
    chmod 400 slurm/munge/key
    export SLURM_CONF=$work/slurm/slurm.conf
    cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$me(10.97.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/slurm/munge/socket
CredType=cred/munge
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/spool/%n
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/slurmd-%n.pid
SlurmctldLogFile=$work/slurm/log/slurmctld
SlurmdLogFile=$work/slurm/log/slurmd-%n
TmpFS=$work/slurm/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_min_interval=0,sched_interval=1
ReturnToService=2
KillWait=10
InactiveLimit=0
SlurmdParameters=config_overrides
MailProg=/bin/true
PartitionName=p Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverTimeLimit=0
END
    for ((k = 1; k <= $1; k++)); do
        mkdir -p "slurm/spool/n$k" "slurm/tmp/n$k"
        echo "NodeName=n$k NodeHostname=$me NodeAddr=10.97.0.1 Port=$((17000 + k)) CPUs=2 RealMemory=1000" >>"$SLURM_CONF"
    done
    echo "CgroupPlugin=cgroup/v1" >slurm/cgroup.conf
    setpriv --reuid munge --regid munge --clear-groups munged --key-file="$work/slurm/munge/key" \
        --socket="$work/slurm/munge/socket" --pid-file="$work/slurm/munge/pid" --log-file="$work/slurm/munge/log" \
        --seed-file="$work/slurm/munge/seed"
    slurmctld -i -f "$SLURM_CONF"
    for ((k = 1; k <= $1; k++)); do
        slurmd -N "n$k" -f "$SLURM_CONF"
    done
    wait_for 30 all_idle "$1"
}

all_idle() { [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = "$1" ]; }
state() { scontrol show job "$id" 2>/dev/null | grep -o "$1=[^ ]*" | cut -d= -f2; }
has_state() { [[ " $1 " = *" $(state JobState) "* ]]; }
is_started() { [ "$(cat "$log" 2>/dev/null | grep -c ", start ")" -ge "$1" ]; }
has_begun() { [ "$(cat began.* 2>/dev/null | wc -c)" -ge "$1" ]; }
# Slurm lets a job that was requeued wait for two minutes. It may not begin in the second in which its last start was ended.
hurry()
{
    has_state PENDING && [ -e "$log" ] && [ $((EPOCHSECONDS - $(stat -c %Y "$log"))) -ge 3 ] &&
        scontrol update jobid="$id" starttime=now 2>>err
}
is_started_again()
{
    is_started "$1" && return
    hurry
    return 1
}
says() { grep -qE -- "$1" "$log"; }

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
    local script=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    id=$(PATH=$bin:$PATH OMPI_MCA_btl=self,tcp sbatch --parsable --mem=100 --time=2 "${options[@]}" \
        "$source_folder/slurm/$script.sbatch" "${@:2}" 2>err)
    wait_for 60 has_state "COMPLETED FAILED CANCELLED TIMEOUT"
    cp "mpmap-$id.log" out
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
check "Slurm's daemons end" wait_for 20 none_left "${daemons[@]}" # they write until then
report
