#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps whose workers are killed, and stopped, from outside at random instants, alone or with single calls, streams and
# maps of blobs beside them, and with a fork server that is killed among them: every result must be right all the same, each
# once, and no memory of any arena be lost. Maps go on until there were so many strikes, of workers that were alive.
# soak.sh does this for long. Arguments: folder of mpmap, folder of the sources, and of each of the campaigns below its
# strikes (60) and a seed (by the clock).
set -uo pipefail
bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
strikes=${3:-60}
seed=${4:-$((EPOCHSECONDS % 1000000))}
limit=$((120 + strikes)) # seconds: against hanging
programs=$(dirname "$bin")/tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source_folder/tests/support/processes.sh"
echo "seed $seed"

ended_well() { [ "$status" = 0 ]; }
lost_a_part() { [ "$status" = 3 ] && grep -q 'the fork server process of rank .* SIGKILL.* lost$' "$work/err"; }
all_right() { grep -qE '^[0-9]+ maps of [0-9]+ items$' "$work/out" && ! grep -q 'should be' "$work/err"; }

# torment_a_map kill|stop|mix|forkserver ITEMS alone|all launcher…
torment_a_map()
{
    local way=$1 items=$2 company=$3 what started kills stops hosts struck begun=$SECONDS
    shift 3
    what="$way, $company, '$*', seed $seed"
    [ "$company" = all ] || company=
    keep_books
    rm -f "$work/stop"
    : >"$work/out"
    MPMAP_TEST_STOP=$work/stop MPMAP_TEST_MARK=$mark timeout -k 2 $((limit + 30)) \
        "$@" "$programs/checked_map" "$items" "$limit" "$seed" $company >"$work/out" 2>"$work/err" &
    started=$!
    wait_for 60 is_running
    read -r kills stops hosts < <(
        MPMAP_TEST_STOP=$work/stop "$programs/torment" "$way" "$started" $((limit + 30)) "$seed" "$strikes"
    )
    wait "$started"
    status=$?
    struck=$kills
    [ "$way" != stop ] || struck=$stops
    echo "$what: $kills killed, $stops stopped, $hosts fork servers killed, $((SECONDS - begun)) s: $(tail -n 1 "$work/out")"
    [ -z "$company" ] || echo "    $(grep calls "$work/err" | tail -n 1)"
    if [ "$way" = forkserver ]; then
        check "$what: a fork server was killed, which is said" lost_a_part
    else
        check "$what: the run ends well" ended_well
    fi
    check "$what: every result is right" all_right
    check "$what: there were strikes" [ "${struck:-0}" -ge "$strikes" ]
    check "$what: nothing is left" wait_for 60 nothing_is_left
}

for way in kill stop; do
    torment_a_map "$way" 1000000 alone env
    torment_a_map "$way" 1000000 alone env MPMAP_RANKS_PER_NODE=1 mpirun -n 4
done
# Maps so short that many workers are struck while one ends, a pool closes, or another opens.
torment_a_map kill 1000 alone env
torment_a_map kill 1000 alone env MPMAP_RANKS_PER_NODE=2 mpirun -n 4
torment_a_map mix 1000000 all env
torment_a_map mix 1000000 all env MPMAP_RANKS_PER_NODE=1 mpirun -n 4
torment_a_map forkserver 1000000 all env MPMAP_RANKS_PER_NODE=1 mpirun -n 4
torment_a_map forkserver 1000000 all mpirun -n 4
report
