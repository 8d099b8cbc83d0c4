#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What happens to a job of slurm/map.sbatch, under a real Slurm over three hosts with a network between them: it is
# canceled, put into the queue again, loses a rank, the link of a node, a node. The log says what it was, no good row is
# lost, and the map is completed: by the job that goes back into the queue, or the next one. Arguments: folder of mpmap,
# folder of the sources. Needs root and Slurm.
set -uo pipefail
source_folder=${2:-${MPMAP_SOURCE:?}}
. "$source_folder/tests/support/slurm.sh"
. "$source_folder/tests/support/pseudo_hosts.sh"
missing=$(slurm_lack)
missing=${missing:-$(hosts_lack)}
[ -z "$missing" ] || { echo "skipped, because $missing"; exit 0; }
enter_namespaces "$@"
. "$source_folder/tests/support/data_sets.sh"
chmod 755 "$work"
plugin=$test_plugins/napping.so
rows=80 in_flight=4
hosts_up 4 "$work"
at_head() { on_host 1 "$@"; }
slurmd_timeout=10
slurm_daemons h1 10.98.0.1 "h2 NodeAddr=10.98.0.2" "h3 NodeAddr=10.98.0.3" "h4 NodeAddr=10.98.0.4"
for k in 2 3 4; do on_host $k slurmd -N h$k -f "$SLURM_CONF"; done
check "Slurm is up" wait_for 60 all_idle 3

submit()
{
    id=$(PATH=$bin:$PATH OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=eth0 MPMAP_NODE_TIMEOUT=4 \
        at_head sbatch --parsable --nodes=2 --cpus-per-task=2 --mem=100 --time=5 --signal=USR1@1 \
        "$source_folder/slurm/map.sbatch" "$plugin:nap" in.h5:/nap out.h5:/naps --chunk 1 --block-rows 1 2>err)
    log=$work/mpmap-$id.log
}

# A job of a map from the start on, when some of its rows are done.
begin()
{
    rm -f began.* out.h5* in.h5
    yes 0.3 | head -n $rows >numbers.txt
    text_set in.h5 /nap TEXTFP 32 $rows
    submit
    check "$what: it begins" wait_for 60 has_begun 20
}

# What is in the log, and what Slurm says, for a check that fails.
show()
{
    tail -n 30 "$log"
    at_head scontrol show job "$id" | grep -E "State|NodeList="
    at_head sinfo -h -N -o "%N %T"
    tail -n 8 slurm/log/slurmctld
}

good() { "$bin/mpmap" status out.h5 | sed -nE 's/.*: ([0-9]+) of [0-9]+ rows are good.*/\1/p'; }
begun() { cat began.* | wc -c; }
has_ended() { has_state "COMPLETED FAILED CANCELLED TIMEOUT NODE_FAIL"; }

# finished MOST: the map is complete, and no more rows were begun.
finished()
{
    check "$what: the job completes" wait_for 90 has_state COMPLETED
    check "$what: all rows are good" [ "$(good)" = $rows ]
    check "$what: no more than those in flight were begun twice ($(begun))" [ "$(begun)" -le "$1" ]
}

# The second node of the job: its host's number.
second_node() { at_head scontrol show hostnames "$(state NodeList | tail -n 1)" | sed -n '2s/h//p'; }
is_down() { [[ "$(at_head sinfo -h -n "h$1" -o %T)" = down* ]]; }

what="scancel"
begin
at_head scancel "$id"
check "$what: the job ends" wait_for 60 has_state CANCELLED
check "$what: the log says how far it is" wait_for 60 says 'the map was drained; [1-9][0-9]* of 80 rows are good'
check "$what: what was begun is done" [ "$(good)" = "$(begun)" ]
check "$what: nodes are free again" wait_for 60 all_idle 3
submit
finished $rows

what="scontrol requeue"
begin
at_head scontrol requeue "$id"
check "$what: the log says how far it is" wait_for 60 says 'the map was drained; [1-9][0-9]* of 80 rows are good'
check "$what: it is started again" wait_for 60 is_started_again 2
finished $rows

what="a rank that is killed"
begin
on_host "$(second_node)" bash -c 'kill -KILL $(pgrep -xo mpmap)' # the oldest is the rank
check "$what: the log says that the job goes on" \
    wait_for 60 says 'the map has ended with status [0-9]+, and got further'
check "$what: it is started again" wait_for 60 is_started_again 2
finished $((rows + in_flight))

what="a link that is cut"
begin
lost=$(second_node)
cut_link "$lost"
check "$what: Slurm misses the node" wait_for 60 is_down "$lost"
check "$what: the log says which node it was, and how far the map is" \
    wait_for 60 says "h$lost.*[1-9][0-9]* of 80 rows are good"
check "$what: it is started again" wait_for 60 is_started_again 2
finished $((rows + in_flight))
heal_link "$lost"
check "$what: the node comes back" wait_for 60 all_idle 3

what="a node that is killed"
begin
lost=$(second_node)
kill_host "$lost"
check "$what: Slurm misses the node" wait_for 60 is_down "$lost"
check "$what: the log says which node it was, and how far the map is" \
    wait_for 60 says "h$lost.*[1-9][0-9]* of 80 rows are good"
check "$what: it is started again" wait_for 60 is_started_again 2
finished $((rows + in_flight))

report
