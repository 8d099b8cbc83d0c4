# SPDX-License-Identifier: BSD-3-Clause
# Hosts that are namespaces of this machine, with a network between them: each has its own processes, network, host name,
# mounts and /dev/shm, and all see the same files. A script that sources this runs in namespaces of its own from
# there on (as root; it is started once more in them), which end with it and with all that is in them.
# Of the first host, h1, processes and files are the script's own, so that mpirun there can enter the others.
hosts=()

# Why there can be no hosts here; nothing if there can.
hosts_lack()
{
    local tool
    for tool in unshare nsenter ip mpirun; do
        [ "$(type -t $tool)" = file ] || { echo "there is no $tool"; return; }
    done
    [ "$(id -u)" = 0 ] || { echo "it needs root"; return; }
    unshare -m -n -p -u -f --mount-proc true 2>/dev/null || { echo "namespaces cannot be made here"; return; }
    unshare -n sh -c 'ip link add br0 type bridge && ip link add up0 type veth peer name down0' 2>/dev/null ||
        { echo "no network can be made here"; return; }
    mpirun --version 2>/dev/null | grep -q '(Open MPI) 4' || echo "mpirun is none of Open MPI 4"
}

# Starts this script again where hosts can be made.
enter_namespaces() # the script's arguments
{
    [ -z "${PSEUDO_HOSTS:-}" ] || return 0
    PSEUDO_HOSTS=1 exec unshare -m -n -p -u -f --kill-child --mount-proc bash "$0" "$@"
}

# hosts_up N folder
hosts_up()
{
    local k shell
    mount -t tmpfs tmpfs /dev/shm
    ip link set lo up
    ip link add br0 type bridge
    ip link set br0 up
    for ((k = 1; k <= $1; k++)); do
        unshare -n -u $([ "$k" = 1 ] || echo -p -f -m --mount-proc --kill-child) sleep infinity 2>/dev/null &
        shell=$!
        until [ "$(readlink "/proc/$shell/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do :; done
        if [ "$k" = 1 ]; then
            hosts[1]=$shell
        else
            until hosts[k]=$(cat "/proc/$shell/task/$shell/children" 2>/dev/null) && [ -n "${hosts[k]}" ]; do :; done
            hosts[k]=${hosts[k]% }
            until on_host "$k" mount -t tmpfs tmpfs /dev/shm; do :; done
        fi
        disown "$shell"
        ip link add "up$k" type veth peer name eth0 netns "${hosts[k]}"
        ip link set "up$k" master br0 up
        on_host "$k" ip link set lo up
        on_host "$k" ip addr add "10.98.0.$k/24" dev eth0
        on_host "$k" ip link set eth0 up
        on_host "$k" hostname "h$k"
    done
    {
        echo '#!/bin/bash'
        echo 'while [[ $1 == -* ]]; do shift; done'
        declare -p hosts
        echo 'host=${1#h}'
        echo 'shift'
        echo 'exec nsenter -t "${hosts[host]}" -n -u -p -m --wd="$PWD" -- /bin/sh -c "$*"'
    } >"$2/enter_host"
    printf '#!/bin/bash\n"%s" "$@"\nexit 0\n' "$2/enter_host" >"$2/enter_host_quietly"
    chmod +x "$2/enter_host" "$2/enter_host_quietly"
    enter_host=$2/enter_host
    enter_host_quietly=$2/enter_host_quietly # mpirun does not learn from it that a host is gone
}

# on_host K command…
on_host()
{
    local k=$1
    shift
    nsenter -t "${hosts[k]}" -n -u -p -m --wd="$PWD" -- "$@"
}

# mpirun_on_hosts HOST:RANKS,… arguments of mpirun: it runs on h1
mpirun_on_hosts()
{
    local list=$1
    shift
    exec nsenter -t "${hosts[1]}" -n -u --wd="$PWD" -- mpirun --host "$list" --mca plm rsh --mca plm_rsh_agent "$enter_host" \
        --mca ras ^slurm --mca oob_tcp_if_include eth0 --mca btl self,vader,tcp --mca btl_tcp_if_include eth0 \
        --mca hwloc_base_binding_policy none "$@"
}

# What a run has said on its stderr, without mpirun's own words on a race that it has with the shells that it starts: they
# have called exec before it puts them into a group of processes. It tries again, and no harm is done.
said_by_run() # file
{
    grep -vE 'plm:rsh: Warning: setpgid\([0-9]+,[0-9]+\) failed in parent' "$1"
}

cut_link() { ip link set "up$1" down; }
heal_link() { ip link set "up$1" up; }
kill_host() { kill -KILL "${hosts[$1]}"; }
