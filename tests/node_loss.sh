#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes that are lost where the launcher lets the others live (mpirun --enable-recovery of Open MPI 4): a rank is killed with
# all that it has, at random instants, while maps, single calls, streams and maps of blobs run; or a rank that is no leader,
# or the leader of several, or all of a node is stopped until it is taken for lost, and goes on then. Every result must be
# right, each once, nothing is left, and a node that comes back ends itself. Objects and processes of the lost node say so.
# Rows of a data set are all done. The loss of main ends the run. Without --enable-recovery the loss of a rank is mpirun's.
# Arguments: folder of mpmap, folder of the sources, how many runs lose two nodes at random instants (1), and a seed (by the
# clock).
set -uo pipefail
. "$(dirname "$0")/support/lost_nodes.sh"
runs=${3:-1}
seed=${4:-$((EPOCHSECONDS % 1000000))}
echo "seed $seed"
RANDOM=$seed

pause() { read -rt "$1" <> <(:) || true; }
soon_after() { pause "0.$((RANDOM % 10))$((RANDOM % 10))"; }

died() { err_has "^mpmap: rank $1 on .* has died: the run goes on without it$"; }

for ((run = 0; run < runs; run++)); do
    what="run $run: a node is killed, then the other one"
    # A connection that breaks in the midst of a message is another matter than memory that is shared with the dead.
    [ $((run % 2)) = 1 ] || export OMPI_MCA_btl=self,tcp
    begin 3 1 "$programs/checked_map" 100000 60 $((seed + run)) all
    soon_after
    first=$((1 + RANDOM % 2))
    kill -KILL "$(rank_pid $first)"
    [ $((run % 3)) = 2 ] || wait_for 60 lost $first # else both at once, nearly
    soon_after
    kill -KILL "$(rank_pid $((3 - first)))"
    wait_for 60 lost $((3 - first))
    soon_after
    touch stop
    end
    unset OMPI_MCA_btl
    if mpi_has_ended_main; then
        skip "$what" "Open MPI has ended main"
        continue
    fi
    check "$what: the losses are said" is_said 1
    check "$what: the losses are said" is_said 2
    check "$what: every result is right" all_right
done

what="a rank that is no leader is killed, then a leader of two"
begin 6 2 "$programs/checked_map" 100000 60 "$seed" all
soon_after
kill -KILL "$(rank_pid 3)"
wait_for 60 died 3
check "$what: its leader says so at once" died 3
kill -KILL "$(rank_pid 4)"
wait_for 60 lost 2
touch stop
end
if mpi_has_ended_main; then
    skip "$what" "Open MPI has ended main"
else
    check "$what: the silence of the other is said" is_said 2
    check "$what: every result is right" all_right
fi

what="all of a node is stopped until it is lost, and goes on"
begin 3 1 "$programs/checked_map" 100000 60 "$seed" all
mapfile -t stopped < <(tree "$(rank_pid 1)")
kill -STOP "${stopped[@]}"
wait_for 60 lost 1
kill -CONT "${stopped[@]}"
check "$what: it ends itself" wait_for 60 none_left "${stopped[@]}"
pause 3 # longer than it takes to bring mpirun down
check "$what: and nobody else" goes_on
touch stop
end
check "$what: the loss is said" is_said 1
check "$what: the node says why it ends" \
    err_has "node .*/1 was silent for $timeout s, and the run has gone on without it: the run ends on this node$"
check "$what: every result is right" all_right

what="a node that has objects, and processes that use others, is lost"
begin 3 1 "$programs/node_loss"
wait_for 60 is_running
kill -KILL "$(rank_pid 2)"
end
check "$what: all is as it should be" out_has '^[0-9]+ expectations, 0 wrong$'

for ((run = 0; run < runs; run++)); do
    what="run $run: a node is lost while large results are on their way"
    export OMPI_MCA_btl=self,tcp
    begin 3 1 "$programs/node_loss" large
    wait_for 60 is_running
    soon_after
    kill -KILL "$(rank_pid 2)"
    end
    unset OMPI_MCA_btl
    check "$what: all is as it should be" out_has '^[0-9]+ expectations, 0 wrong$'
done

rows=60
yes 0.1 | head -n "$rows" >rows.txt
printf '%s\n' 'PATH /data' 'INPUT-CLASS TEXTFP' 'INPUT-SIZE 32' 'RANK 1' "DIMENSION-SIZES $rows" >rows.cfg
h5import rows.txt -c rows.cfg -o in.h5 >/dev/null
has_begun() { [ "$(stat -c %s began.* 2>/dev/null || echo 0)" -ge 4 ] || has_ended; }
rows_are_done() { [ "$(h5dump -d /r.done -A 0 -y -w 1 "$1" 2>/dev/null | grep -cE '^ +1,?$')" = "$rows" ]; }
map_rows() # victim
{
    rm -f began.* out.h5*
    echo running >out # it says nothing
    begin 3 1 bash -c 'echo running; exec "$@"' - "$bin/mpmap" map --quiet --chunk 1 "$programs/plugins/napping.so:nap" \
        in.h5:/data out.h5:/r
    wait_for 60 has_begun
    kill -KILL "$(rank_pid "$1")"
    end
}
what="a node is killed in a map over a data set"
map_rows 1
check "$what: all rows are done" rows_are_done out.h5
what="main is killed in a map over a data set"
map_rows 0
check "$what: the others say that the run ends" err_has "node .*/0 has not answered for $timeout s: the run ends on this node$"
check "$what: what was done is kept" [ -f out.h5.part ]

what="mpmap info"
says_of_loss() # sentence mpirun's options…
{
    local sentence=$1
    shift
    MPMAP_RANKS_PER_NODE=1 timeout 200 mpirun -n 2 "$@" "$bin/mpmap" info >out 2>err
    out_has "^loss   if a node is lost, the run $sentence$"
}
check "$what: it goes on under --enable-recovery" says_of_loss "goes on without it" --enable-recovery
check "$what: it ends without" says_of_loss ends
report
