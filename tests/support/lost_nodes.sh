# SPDX-License-Identifier: BSD-3-Clause
# Runs that lose nodes where the launcher lets the others live (mpirun --enable-recovery of Open MPI 4). A script sources this
# with its own arguments, folder of mpmap first. `timeout` is after how many seconds a node is lost; what is run is described by
# `what`. It ends with `report` (processes.sh).
bin=$(readlink -f "${1:-${MPMAP_BIN:?}}")
source_folder=$(readlink -f "${2:-${MPMAP_SOURCE:?}}")
. "$source_folder/tests/support/processes.sh"
. "$source_folder/tests/support/mpirun.sh"
if ! mpirun --version 2>/dev/null | grep -c '(Open MPI) 4' >/dev/null; then
    echo "skipped, because mpirun is not of Open MPI 4"
    exit 0
fi
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
end_all_at_exit
cd "$work" || exit 1
timeout=3
options=(--enable-recovery) # of mpirun

# rank_pid R: of the run that was started.
rank_pid()
{
    local pid
    for pid in $(tree "$started"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in mpirun | timeout | env | bash) continue ;; esac
        is_named mpirun "$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status" 2>/dev/null)" || continue
        grep -czx "OMPI_COMM_WORLD_RANK=$1" "/proc/$pid/environ" >/dev/null 2>&1 && echo "$pid" && return
    done
}

has_ended() { none_left "$started"; }
goes_on() { ! has_ended; }
out_has() { grep -qE "$1" "$work/out"; }
err_has() { grep -qE "$1" "$work/err"; }
is_running_or_ended() { is_running || has_ended; }

# begin RANKS RANKS_A_NODE program…
begin()
{
    local ranks=$1 per_node=$2
    shift 2
    keep_books
    rm -f stop
    : >out
    MPMAP_TEST_STOP=$work/stop MPMAP_TEST_MARK=$mark MPMAP_NODE_TIMEOUT=$timeout MPMAP_RANKS_PER_NODE=$per_node \
        timeout -k 2 200 mpirun "${options[@]}" -n "$ranks" "$@" >out 2>err &
    started=$!
    wait_for 60 is_running_or_ended
}

end()
{
    check "$what: it ends" wait_for 60 has_ended
    has_ended || kill -KILL $(tree "$started")
    wait "$started" 2>/dev/null
    check "$what: nothing is left" wait_for 60 nothing_is_left
    echo "$what: mpirun's status $?, $(grep -E 'maps of' out), $(grep -E '^status' out)"
}

# A node falls silent, and it is said once.
is_said() # NODE
{
    [ "$(grep -cE "^mpmap: node [^ ]*/$1 has not answered( node [^ ]*)? for $timeout s: the run goes on without it$" err)" = 1 ]
}
all_right() { out_has '^[0-9]+ maps of [0-9]+ items$' && out_has '^status 3$' && ! err_has 'should be'; }

# Open MPI 4.1 ends a rank itself, main not excepted, if a node dies while it has a part of a large message for it in hand
# (doc/clusters.md).
mpi_has_ended_main() { err_has 'pml_ob1_[a-z]*\.c:[0-9]+ FATAL$'; }

# The loss is known, and a little more.
lost() { is_said "$1" || has_ended; }
