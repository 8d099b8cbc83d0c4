#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap-tally beside its peers, all in this run, on the same files in memory and the same two CPUs: least, mean and most of the
# readings of some hundred stations, and the ten questions of db-benchmark on its file G1. The limit is a loop in C that knows
# the file and trusts it.
#
#   ./dev bench tally [readings|groups|all] [ROWS]
#
# ROWS: of each file (10000000). MPMAP_BIN: folder of the programs; MPMAP_OUT: folder for what is made here. ROUNDS: how often
# each is run (3); the best counts. PEERS: some of bare duckdb pandas mawk datamash miller, instead of all. DuckDB comes from
# npm; without npm, or a network, it is left out.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
what=${1:-all}
rows=${2:-10000000}
rounds=${ROUNDS:-3}
peers=${PEERS:-bare duckdb pandas mawk datamash miller}
tally="$bin/mpmap-tally"
mkdir -p "$out" && cd "$out" || exit 1

make_programs()
{
    local name
    for name in readings groups bare; do
        cc -O2 -D_GNU_SOURCE -o "$name" "$here/bench/$name.c" -lpthread || exit 1
    done
}

get_duckdb()
{
    [ -d duckdb/node_modules/@duckdb/node-api ] && return
    command -v npm >/dev/null || return
    mkdir -p duckdb
    (cd duckdb && npm install --silent --no-fund --no-audit @duckdb/node-api >log 2>&1) || rm -rf duckdb/node_modules
}

has() { [[ " $peers " == *" $1 "* ]]; }

# least SECONDS…
least() { printf '%s\n' "$@" | sort -n | head -n 1; }

# seconds COMMAND…: how long it takes; its output goes into the file answer.
seconds()
{
    local begun=$EPOCHREALTIME
    "$@" >answer 2>error || { echo "failed: $(head -n 1 error)" >&2; return 1; }
    awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'
}

# DuckDB says itself how long the query took, without its start.
seconds_of_duckdb()
{
    node "$here/bench/duckdb.js" "$PWD/duckdb" "$@" >answer 2>error || return 1
    head -n 1 answer
    sed -i 1d answer
}

readings_of_tally()
{
    "$tally" readings.txt --separator ';' --names s,t --by s --show 'min(t),mean(t),max(t)' --csv --quiet | tail -n +2
}
readings_of_bare() { ./bare readings.txt; }
readings_of_mawk()
{
    mawk -F';' '{ if (!($1 in n)) { a[$1] = $2; b[$1] = $2 } n[$1]++; s[$1] += $2; if ($2 < a[$1]) a[$1] = $2
        if ($2 > b[$1]) b[$1] = $2 } END { for (k in n) printf "%s,%.1f,%.3f,%.1f\n", k, a[k], s[k] / n[k], b[k] }' \
        readings.txt
}
readings_of_datamash() { datamash -t';' -s -g 1 min 2 mean 2 max 2 <readings.txt | tr ';' ,; }
readings_of_miller()
{
    mlr --icsv --ocsv --headerless-csv-output --ifs ';' --implicit-csv-header stats1 -a min,mean,max -f 2 -g 1 readings.txt
}
readings_of_pandas()
{
    /usr/bin/python3 -c '
import pandas
d = pandas.read_csv("readings.txt", sep=";", names=["s", "t"], engine="c")
d.groupby("s").t.agg(["min", "mean", "max"]).to_csv("/dev/stdout", header=False)'
}

# The same lines whoever has printed them.
even() { awk -F, '{ printf "%s,%.1f,%.2f,%.1f\n", $1, $2, $3, $4 }' | LC_ALL=C sort; }

# A mean may lie between two roundings: then its last digit may differ by one.
same_answers()
{
    paste -d, <(even <"$1") <(even <"$2") | awk -F, '
        $1 != $5 || $2 != $6 || $4 != $8 || $3 - $7 > 0.0101 || $7 - $3 > 0.0101 { bad++ } END { exit bad > 0 || NR < 400 }'
}

bench_readings()
{
    local name round best time
    [ "$(cat readings.rows 2>/dev/null)" = "$rows" ] || { ./readings "$rows" >readings.txt && echo "$rows" >readings.rows; }
    echo "Least, mean and most of $rows readings, $(du -h readings.txt | cut -f1), in memory:"
    cat readings.txt >/dev/null
    for name in tally $peers; do
        [ "$name" != duckdb ] || [ -d duckdb/node_modules ] || continue
        best=()
        for ((round = 0; round < rounds; round++)); do
            if [ "$name" = duckdb ]; then
                time=$(seconds_of_duckdb readings readings.txt) || continue 2
            else
                time=$(seconds readings_of_"$name") || continue 2
            fi
            best+=("$time")
            [[ " tally bare duckdb " == *" $name "* ]] || break # the others take long
        done
        [ "$name" != tally ] || cp answer answer.tally
        [ "$name" != tally ] || own=$(least "${best[@]}")
        printf '  %-10s %8.3f s  %6.2f x tally   %s\n' "$name" "$(least "${best[@]}")" \
            "$(awk -v a="$(least "${best[@]}")" -v b="$own" 'BEGIN { print a / b }')" \
            "$(same_answers answer answer.tally && echo "the same answer" || echo "ANOTHER ANSWER")"
    done
}

questions=(
    "--by id1 --show sum(v1)"
    "--by id1,id2 --show sum(v1)"
    "--by id3 --show sum(v1),mean(v3)"
    "--by id4 --show mean(v1),mean(v2),mean(v3)"
    "--by id6 --show sum(v1),sum(v2),sum(v3)"
    "--by id4,id5 --show median(v3),stddev(v3)"
    "--by id3 --show max(v1),min(v2)"
    "--by id6 --show top(2,v3)"
    "--by id2,id4 --show corr(v1,v2)"
    "--by id1,id2,id3,id4,id5,id6 --show sum(v3),count"
)

# Both read the file in each question. DuckDB keeps the answer in a table, tally in memory, of which it prints some lines.
bench_groups()
{
    local number round mine theirs time
    [ "$(cat groups.rows 2>/dev/null)" = "$rows" ] || { ./groups "$rows" >groups.csv && echo "$rows" >groups.rows; }
    echo "The ten questions of db-benchmark, G1 with $rows rows, $(du -h groups.csv | cut -f1), in memory:"
    cat groups.csv >/dev/null
    for number in {1..10}; do
        mine=()
        theirs=()
        for ((round = 0; round < rounds; round++)); do
            time=$(seconds "$tally" groups.csv ${questions[number - 1]} --order none --limit 3 --csv --quiet) && mine+=("$time")
            has duckdb && [ -d duckdb/node_modules ] && time=$(seconds_of_duckdb groups groups.csv $number) &&
                theirs+=("$time")
        done
        printf '  %2d  tally %7.3f s  ' "$number" "$(least "${mine[@]}")"
        [ ${#theirs[@]} -eq 0 ] || printf 'duckdb %7.3f s  %5.2f x  ' "$(least "${theirs[@]}")" \
            "$(awk -v a="$(least "${theirs[@]}")" -v b="$(least "${mine[@]}")" 'BEGIN { print a / b }')"
        echo "${questions[number - 1]}"
    done
}

make_programs
! has duckdb || get_duckdb
[ "$what" = groups ] || bench_readings
[ "$what" = readings ] || bench_groups
