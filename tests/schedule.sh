#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the distribution of work promises, in simulated time, so that the figures are the same each time: chunks
# beside the classical loop schedules, and leases on ten thousand nodes. And that the measuring ones of these
# benchmarks run. Arguments: folder of mpmap.
set -uo pipefail

bin=${1:-${MPMAP_BIN:?}}
mpmap=$bin/mpmap
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
work=$folder
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"

# promises WHAT EXPRESSION ARGUMENT…: the expression of Python holds for what `mpmap bench ARGUMENT… --json`
# prints: `f` is the figures by their names.
promises()
{
    local what=$1 expression=$2
    shift 2
    timeout 200 "$mpmap" bench "$@" --json >"$folder/out" 2>"$folder/err" </dev/null &&
        python3 -c "
import json, sys
f = {figure['name']: figure for figure in json.load(open('$folder/out'))}
sys.exit(not ($expression))"
    count "$what: mpmap bench $*: $expression" $?
}

beside() { echo "len([n for n in f if n.endswith('$1')]) == $3 and all(f[n]['ratio'] <= $2 for n in f if n.endswith('$1'))"; }

# Chunks.
for workers in 2 16 64; do
    for item_time in 1e-6 1e-5 1e-4 1e-3; do
        promises "within 5 % of the best schedule" "$(beside 'the best' 1.05 5)" \
            schedule --simulate --workers $workers --item-time $item_time --seconds 0.2
    done
done
for costs in constant rising falling random; do
    promises "within 5 % of the ideal" "$(beside 'the ideal' 1.05 1)" \
        schedule --simulate --workers 16 --seconds 0.1 --costs $costs
done
promises "a map as short as a few chunks" "$(beside 'the best' 1.02 5)" \
    schedule --simulate --workers 16 --item-time 1e-6 --seconds 0.001
for seed in 2 3 4 5; do
    promises "random costs of other seeds" "$(beside 'the best' 1.05 5)" \
        schedule --simulate --workers 32 --item-time 1e-4 --seconds 0.1 --seed $seed
done

# Leases: ten thousand nodes of 64 slots, items of 10 ms. The limit of the makespan is what no schedule can beat.
ideal="f['makespan']['ratio'] <= 1.05"
busy="f['efficiency']['value'] >= 0.95 and f['main busy']['value'] <= 0.5 and f['main\\'s wire busy']['value'] < 1"
keeps="$ideal and $busy"
promises "ten thousand nodes are busy" "$keeps and f['messages of main']['value'] < 150000" simulate
promises "ten thousand nodes are, with items of 1 ms" "$keeps" simulate --item-time 1e-3
promises "forty thousand are, by one main" "$keeps and f['main busy']['value'] <= 0.25" simulate --nodes 40000
promises "a hundred of them are lost" "$keeps" simulate --lost 100
promises "a hundred of them join late" "$keeps" simulate --joining 100 --spread 4
for costs in rising falling random; do
    promises "uneven items" "$keeps" simulate --nodes 1000 --costs $costs --spread 4 --lost 10
done
# The longest item takes as long as all others together, and may begin last. If nobody knows which it is, the limit is
# that of slots which take the next item the moment that they are free, and do over what a death has cost once main
# knows of it; where costs are known, it is what no schedule can beat.
for lost in "" "--lost 10"; do
    # shellcheck disable=SC2086 # they are words
    promises "items that take very long keep nobody else from work" \
        "f['makespan, beside greedy']['ratio'] <= 1.05" simulate --nodes 100 --costs heavy --greedy $lost
    # shellcheck disable=SC2086
    promises "they begin first, if it is known which they are" "$ideal" \
        simulate --nodes 100 --costs heavy --known $lost
done

# The clock's own.
all_positive="all(figure['value'] > 0 for figure in f.values())"
promises "schedule measures" "len(f) == 10 and $all_positive" schedule --seconds 0.002
promises "metg measures" "len(f) == 4 and $all_positive" metg --seconds 0.002
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
promises "wire measures, in ranks that had started MPI" "len(f) == 27 and $all_positive" wire --seconds 0.001

report
