#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What is left of mpmap crawl over two nodes after kill -9, of all of it again and again, of the fork server of a node, or of
# the only one, and of a node that the run goes on without. The site is that of crawl.sh. Arguments: the folder of the programs, that of the
# sources, how often all is killed (3). Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/support/crawl_site.sh"
export MPMAP_RANKS_PER_NODE=1

# begin FOLDER OPTION-OF-MPIRUN…: crawls over two nodes in the background; sets $started.
begin()
{
    local folder=$1
    shift
    timeout 300 mpirun "$@" -n 2 "$crawl" "${starts[@]}" --out "$folder" "${quick[@]}" "${selects[@]}" "${few[@]}" \
        --resume --quiet >out 2>err </dev/null &
    started=$!
}

# of_rank NAME RANK: processes of that name of the run that was started.
of_rank()
{
    local pid
    for pid in $(named "$1" $(tree "$started")); do
        grep -czxs "OMPI_COMM_WORLD_RANK=$2" "/proc/$pid/environ" >/dev/null && echo "$pid"
    done
}
is_begun() { [ -n "$(of_rank mpmap-process 1)" ] && has_asked 100; }

serve site 0.004
kills=${3:-3}
for ((i = 0; i < kills; i++)); do
    begin killed
    wait_for 60 has_asked $(($(wc -l <site/log) + RANDOM % (600 / kills)))
    kill -9 $(tree "$started") 2>/dev/null
    wait "$started" 2>/dev/null
done
begin killed
wait "$started"
whole killed "over 2 nodes, killed $kills times"
check "over 2 nodes, killed $kills times: rows are what the pages say" found killed rows
check "over 2 nodes, killed $kills times: only what was on its way is asked for again" look again site $((kills * on_its_way))

serve_held
begin forker
check "the crawl has begun on both nodes" wait_for 60 is_begun
check "there is a fork server to be killed" kill -9 $(of_rank mpmap-forker 1)
let_go
wait "$started"
whole forker "the fork server of a node was killed"
check "the fork server of a node was killed: rows are what the pages say" found forker rows

serve_held
"$crawl" "${starts[@]}" --out home "${quick[@]}" "${selects[@]}" "${few[@]}" --quiet >out 2>err </dev/null &
started=$!
check "the crawl has begun at home" wait_for 60 has_asked 100
check "there is the only fork server to be killed" kill -9 $(named mpmap-forker $(tree "$started"))
let_go
wait "$started"
status=$?
check "the only fork server was killed: the crawl ends, and says what is next" fails_with 1 "--resume goes on later"
run "${starts[@]}" --out home "${quick[@]}" "${selects[@]}" "${few[@]}" --resume
whole home "the only fork server was killed"

if grep -q '(Open MPI) 4' <<<"$(mpirun --version 2>/dev/null)"; then
    serve_held
    MPMAP_NODE_TIMEOUT=3 begin lost --enable-recovery
    check "the crawl has begun on both nodes again" wait_for 60 is_begun
    forker=$(of_rank mpmap-forker 1)
    check "there is a rank to be killed" kill -9 "$(awk '$1 == "PPid:" { print $2 }' "/proc/$forker/status")"
    let_go
    wait "$started"
    whole lost "a node was lost"
    check "a node was lost: rows are what the pages say" found lost rows
else
    skip "a node that is lost" "mpirun is not of Open MPI 4"
fi
report
