#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# MPI that does not come back from a call, or that a lost node leads there: a rank whose MPI is stuck ends within the nodes'
# time limit, and says so; main, without which the run ends, and another one, without which it goes on, and main where
# mpirun lets nobody live. At the start MPI is led there by a connection that fails: the run ends. Later Open MPI 4.1 is,
# by a write that fails since the other side has just died, and by what follows before it has looked at its sockets: so
# there is a look between any two things that it is given for one node, and after such a write the run goes on with every
# result right. Arguments: folder of mpmap, folder of the sources.
set -uo pipefail
. "$(dirname "$0")/support/lost_nodes.sh"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0

# stuck RANKS RANK: MPI is stuck there while maps run.
stuck()
{
    begin "$1" 1 env LD_PRELOAD="$programs/stuck_mpi.so" MPMAP_TEST_STUCK="$work/stuck" MPMAP_TEST_STUCK_RANK="$2" \
        "$programs/checked_map" 2000 100 1
    mapfile -t own < <(tree "$(rank_pid "$2")")
    touch stuck
}
says_stuck() { [ "$(grep -cE '^mpmap: .*a call of MPI has not returned for '"$timeout"' s: the run ends on this node$' err)" = 1 ]; }

what="main's MPI is stuck"
stuck 3 0
end
check "$what: it says so" says_stuck
check "$what: another one says that main is lost" err_has "node .*/0 has not answered for $timeout s: the run ends on this node$"
rm stuck

what="the MPI of another node is stuck"
stuck 3 1
check "$what: it is lost" wait_for 60 lost 1
check "$what: it ends" wait_for 60 none_left "${own[@]}"
check "$what: the others go on" goes_on
touch stop
end
check "$what: it says so" says_stuck
check "$what: the loss is said" is_said 1
check "$what: every result is right" all_right
rm stuck

what="main's MPI is stuck where mpirun lets nobody live"
options=()
stuck 2 0
end
check "$what: it says so" says_stuck
rm stuck

what="MPI looks between any two talks"
options=(--enable-recovery)
export OMPI_MCA_btl=self,tcp
begin 3 1 env LD_PRELOAD="$programs/settled_mpi.so" MPMAP_TEST_TALKS="$work/talks" "$programs/checked_map" 20000 100 1 all
has_talked() { grep -qs '^3000 talks$' talks || has_ended; }
check "$what: it talks" wait_for 60 has_talked
touch stop
end
check "$what: it looks" out_has '^status 0$'

what="no rank connects at the start"
begin 3 1 env LD_PRELOAD="$programs/failing_connect.so" "$programs/checked_map" 2000 100 1
end
check "$what: main says so" [ "$(grep -cE '^mpmap: the ranks have not all met.* for 30 s: the run ends on this node$' err)" = 1 ]

for run in 1 2 3; do
    what="a write fails, and the next one follows, $run"
    begin 2 1 env LD_PRELOAD="$programs/failing_write.so" MPMAP_TEST_KILLS="$work/kills" "$programs/checked_map" 2000 100 "$run"
    tree "$(rank_pid 1)" >kills.new
    mv kills.new kills
    check "$what: the node is lost" wait_for 60 lost 1
    touch stop
    end
    rm kills
    check "$what: it has failed" err_has 'writev failed: Connection reset by peer'
    check "$what: every result is right" all_right
    check "$what: Open MPI complains no more than a few times" [ "$(grep -c 'invalid connection state' err)" -lt 5 ]
done
report
