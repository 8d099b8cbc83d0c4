# SPDX-License-Identifier: BSD-3-Clause
# A real Slurm of a script's own, as root in namespaces: munged, slurmctld, and a slurmd for each node. Its files are in
# the folder slurm of $work. A script that has it over hosts of its own defines at_head anew, before slurm_up.
PATH=$PATH:/usr/sbin

# Why there can be no Slurm here; nothing if there can.
slurm_lack()
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

# one_host "$@": runs the script again in namespaces of its own, as a host with a network, or ends it where there can be none.
one_host()
{
    local missing
    if [ -z "${IN_NAMESPACES:-}" ]; then
        missing=$(slurm_lack)
        [ -z "$missing" ] || { echo "skipped, because $missing"; exit 0; }
        IN_NAMESPACES=1 exec unshare -m -n -p -f --kill-child --mount-proc bash "$0" "$@"
    fi
    mount -t tmpfs tmpfs /dev/shm
    ip link set lo up
    ip link add b0 type bridge # names are looked up only where there is a network
    ip addr add 10.97.0.1/24 dev b0
    ip link set b0 up
}

# at_head COMMAND…: on the host with slurmctld.
at_head() { "$@"; }

# slurm_daemons HEAD ADDRESS "NODE WORDS…"…: munged and slurmctld, which knows nodes of 2 CPUs each, with these words on
# where they are.
slurm_daemons()
{
    local head=$1 address=$2 node
    shift 2
    mkdir -p slurm/{state,spool,log,munge}
    chown munge:munge slurm/{munge,log}
    head -c 128 /dev/urandom >slurm/munge/key
    chown munge:munge slurm/munge/key
    chmod 400 slurm/munge/key
    export SLURM_CONF=$work/slurm/slurm.conf
    cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$head($address)
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
SlurmdTimeout=${slurmd_timeout:-300}
InactiveLimit=0
SlurmdParameters=config_overrides
MailProg=/bin/true
PartitionName=p Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverTimeLimit=0
END
    for node; do
        mkdir -p "slurm/spool/${node%% *}" "slurm/tmp/${node%% *}"
        echo "NodeName=$node CPUs=2 RealMemory=1000" >>"$SLURM_CONF"
    done
    echo "CgroupPlugin=cgroup/v1" >slurm/cgroup.conf
    setpriv --reuid munge --regid munge --clear-groups munged --key-file="$work/slurm/munge/key" \
        --socket="$work/slurm/munge/socket" --pid-file="$work/slurm/munge/pid" --log-file="$work/slurm/munge/log" \
        --seed-file="$work/slurm/munge/seed"
    at_head slurmctld -i -f "$SLURM_CONF"
}

all_idle() { [ "$(at_head sinfo -h -t idle -o %D 2>/dev/null)" = "$1" ]; }
state() { at_head scontrol show job "$id" 2>/dev/null | grep -o "$1=[^ ]*" | cut -d= -f2; }
has_state() { [[ " $1 " = *" $(state JobState) "* ]]; }
is_started() { [ "$(cat "$log" 2>/dev/null | grep -c ", start ")" -ge "$1" ]; }
has_begun() { [ "$(cat began.* 2>/dev/null | wc -c)" -ge "$1" ]; }
# Slurm lets a job that was requeued wait for two minutes. It may not begin in the second in which its last start was
# ended.
hurry()
{
    has_state PENDING && [ -e "$log" ] && [ $((EPOCHSECONDS - $(stat -c %Y "$log"))) -ge 3 ] &&
        at_head scontrol update jobid="$id" starttime=now 2>>err
}
is_started_again()
{
    is_started "$1" && return
    hurry
    return 1
}
says() { grep -qE -- "$1" "$log"; }
# has_died_in_mpi_init LOG. In two of some 600 starts by srun, with other work beside them, a rank had left MPI_Init and
# sent something, while its neighbour on the node still waited there for the first exchange of addresses: Open MPI 4.1 then
# calls a function of 0 there (its btl tcp, which knows no receiver yet). None of ours has run by then.
has_died_in_mpi_init() { grep -qE 'Failing at address: \(nil\)|SEGV on unknown address 0x0+ \(pc 0x0+ ' "$1"; }
