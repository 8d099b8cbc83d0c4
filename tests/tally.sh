#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap tally beside Python: what it counts, sums and finds is what the csv module and exact fractions say, in files with
# quotes, plain and compressed, many at once; the bytes of its results are the same whatever the workers, the nodes and
# whoever is killed; a pass that is killed goes on; and rows that cannot be read are listed with their lines, or refused.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/data_sets.sh"
needs_program mpmap-tally
tally=$bin/mpmap-tally

# tally COMMAND… -- ARGUMENT…: mpmap-tally behind the command; sets $status.
tally()
{
    local before=()
    while [ "$1" != -- ]; do
        before+=("$1")
        shift
    done
    shift
    timeout 100 "${before[@]}" "$tally" "$@" --quiet >out 2>err </dev/null
    status=$?
}

loud()
{
    timeout 100 "$tally" "$@" >out 2>err </dev/null
    status=$?
}

prints() { [ "$status" -eq 0 ] && [ "$(cat out)" = "$1" ]; }
fails_with() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }
same_as() { [ "$status" -eq 0 ] && cmp -s out "$1"; }

cat >made.py <<'P'
import csv, gzip, random
random.seed(7)
names = ["n%d" % i for i in range(40)] + ['say "x"', "a,b", "two\nlines", 'long name of more than sixteen bytes', "", "é"]
rows = []
for i in range(12000):
    v = round(random.uniform(-1000, 1000), random.randrange(4))
    w = "" if i % 13 == 0 else "%.3e" % random.lognormvariate(0, 20) if i % 7 == 0 else str(round(random.expovariate(.1), 6))
    rows.append([random.choice(names), str(i % 97), str(v), w, "x" * (i % 5)])
def write(file, part):
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["name", "id", "v", "w", "pad"])
    out.writerows(part)
write(open("all.csv", "w", newline=""), rows)
write(open("crlf.csv", "w", newline="\r\n"), [r for r in rows if "\n" not in r[0]])
write(gzip.open("part1.csv.gz", "wt", newline=""), rows[:4000])
write(open("part2.csv", "w", newline=""), rows[4000:8000])
write(open("part3.csv", "w", newline=""), rows[8000:])
with open("plain.csv", "w") as file:
    file.write("key,other,v,w\n")
    for i in range(200000):
        file.write("k%d,%d,%.1f,%.15g\n" % (i * 7919 % 1000, i % 3, (i * 31 % 2000 - 1000) / 10, random.gauss(0, 1) ** 3))
P
cat >want.py <<'P'
# want.py FILE KEYS MEASURE…: the answer of the csv module and exact fractions, as JSON.
import csv, json, math, sys
from fractions import Fraction
keys, groups = [k for k in sys.argv[2].split(",") if k], {}
for row in csv.DictReader(open(sys.argv[1], newline="")):
    groups.setdefault(tuple(row[k] for k in keys), []).append(row)
def quantile(values, q):
    values = sorted(values)
    at = q * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)
def measure(rows, text):
    if text == "count":
        return len(rows)
    name, arguments = text[:-1].split("(")
    *first, column = [a.strip() for a in arguments.split(",")]
    texts = [r[column] for r in rows if r[column]]
    if name in ("count", "distinct"):
        return len(texts if name == "count" else set(texts))
    exact = [Fraction(t) for t in texts]
    if not exact:
        return [] if name == "top" else 0 if name == "sum" else None
    n, total = len(exact), sum(exact)
    if name == "corr":
        pairs = [(Fraction(r[first[0]]), Fraction(r[column])) for r in rows if r[first[0]] and r[column]]
        n = len(pairs)
        mx, my = sum(p[0] for p in pairs) / n, sum(p[1] for p in pairs) / n
        xy = sum((x - mx) * (y - my) for x, y in pairs)
        xx, yy = sum((x - mx) ** 2 for x, y in pairs), sum((y - my) ** 2 for x, y in pairs)
        return float(xy) / math.sqrt(xx) / math.sqrt(yy) if xx and yy else None
    return {
        "sum": lambda: float(total), "mean": lambda: float(total / n),
        "min": lambda: float(min(exact)), "max": lambda: float(max(exact)),
        "stddev": lambda: math.sqrt(sum((x - total / n) ** 2 for x in exact) / (n - 1)) if n > 1 else None,
        "median": lambda: quantile([float(x) for x in exact], .5),
        "quantile": lambda: quantile([float(x) for x in exact], float(first[0])),
        "top": lambda: sorted(map(float, exact), reverse=True)[:int(first[0])],
    }[name]()
json.dump([[list(k), [measure(rows, m) for m in sys.argv[3:]]] for k, rows in groups.items()], open("want.json", "w"))
P
cat >compare.py <<'P'
# compare.py KEYS MEASURE…: out beside want.json; floats may differ by some units of the last place.
import json, math, sys
keys = [k for k in sys.argv[1].split(",") if k]
got = {tuple(r[k] for k in keys): [r[m] for m in sys.argv[2:]] for r in json.load(open("out"))["results"]}
want = {tuple(k): v for k, v in json.load(open("want.json"))}
def same(a, b, m):
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y, m) for x, y in zip(a, b))
    if a is None or b is None or isinstance(a, int) and isinstance(b, int):
        return a == b
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
assert got.keys() == want.keys(), (sorted(got.keys() ^ want.keys()))[:5]
for k in want:
    for m, a, b in zip(sys.argv[2:], got[k], want[k]):
        assert same(a, b, m), (k, m, a, b)
P
python3=/usr/bin/python3
"$python3" made.py || exit 1

measures=(count 'count(w)' 'sum(v)' 'mean(v)' 'min(v)' 'max(v)' 'stddev(v)' 'sum(w)' 'mean(w)' 'min(w)' 'max(w)' 'stddev(w)'
    'median(v)' 'quantile(0.9, w)' 'distinct(id)' 'distinct(name)' 'top(3, w)' 'corr(v, w)')
shown=$(IFS=,; echo "${measures[*]}")
for keys in '' name name,id; do
    "$python3" want.py all.csv "$keys" "${measures[@]}"
    tally -- all.csv ${keys:+--by $keys} --show "$shown" --json --block 16000
    check "by '$keys' all measures are Python's" "$python3" compare.py "$keys" "${measures[@]}"
    cp out "first-$keys"
    tally -- part1.csv.gz 'part[23].csv' ${keys:+--by $keys} --show "$shown" --json
    check "by '$keys' three files, one of them compressed, are Python's" "$python3" compare.py "$keys" "${measures[@]}"
    for workers in 1 5; do
        tally -- all.csv ${keys:+--by $keys} --show "$shown" --json --block 16000 --workers $workers
        check "by '$keys' $workers workers give the same bytes" same_as "first-$keys"
    done
done
if command -v mpirun >/dev/null; then
    tally env MPMAP_RANKS_PER_NODE=1 mpirun -n 3 -- all.csv --by name,id --show "$shown" --json --block 16000
    check "three nodes give the same bytes" same_as first-name,id
fi

if command -v zstd >/dev/null; then
    zstd -q all.csv
    tally -- all.csv.zst --by name --show 'count,sum(v)' --csv
    mv out zst
    tally -- all.csv --by name --show 'count,sum(v)' --csv
    check "what zstd has compressed is read" same_as zst
fi
# Compressed text is inflated in pieces, by a thread: more of them than it may be ahead, files that end with a piece, and
# some parts one after the other.
for size in 524288 3000000 3145728; do
    head -c $((size - 2)) plain.csv | sed '$d' >piece.csv
    head -c $((size - $(stat -c %s piece.csv) - 1)) /dev/zero | tr '\0' 'p' >>piece.csv # a row of one column
    echo >>piece.csv
    check "the text has $size bytes" [ "$(stat -c %s piece.csv)" = $size ]
    tally -- piece.csv --by key --show 'count,sum(w),stddev(w)' --csv --bad skip --block 100000000
    mv out pieces
    { head -c 100000 piece.csv | gzip; tail -c +100001 piece.csv | gzip -1; } >piece.csv.gz
    tally -- piece.csv.gz --by key --show 'count,sum(w),stddev(w)' --csv --bad skip
    check "$size bytes that gzip has compressed in two parts are read" same_as pieces
    ! command -v zstd >/dev/null || zstd -qf piece.csv
    [ ! -e piece.csv.zst ] || tally -- piece.csv.zst --by key --show 'count,sum(w),stddev(w)' --csv --bad skip
    check "and so are those of zstd" same_as pieces
done
echo "more" >>piece.csv.gz
tally -- piece.csv.gz --by key
check "what follows compressed text is an error" fails_with 1 "'piece.csv.gz' is damaged"
tally -- crlf.csv --by name --show 'count,distinct(pad),max(v)' --csv
mv out crlf
tr -d '\r' <crlf.csv >lf.csv
tally -- lf.csv --by name --show 'count,distinct(pad),max(v)' --csv
check "line ends may be two characters" same_as crlf

wanted=$(awk -F, 'NR > 1 && $3 >= 99.5 && $1 != "k7" { n++; s += $4 } END { print n }' plain.csv)
tally -- plain.csv --where 'v >= 99.5' --where 'key != k7' --show count --csv
check "conditions are awk's" prints "count
$wanted"
tally -- plain.csv --where 'key = k7' --by key --show 'count' --csv
check "texts are compared" prints "key,count
k7,200"
tally -- plain.csv --by other --order '-sum(v)' --limit 1 --show 'sum(v)' --csv
check "the largest first" [ "$(wc -l <out)" = 2 ]
tally -- plain.csv --show 'distinct(w),approx_distinct(w),median(w),approx_median(v),approx_quantile(0.99,v)' --json
check "approximations are near" "$python3" -c '
import json
r = json.load(open("out"))["results"][0]
assert abs(r["approx_distinct(w)"] / r["distinct(w)"] - 1) < .07, r
assert abs(r["approx_quantile(0.99,v)"] / 98 - 1) < .003, r
assert 0 < r["approx_distinct(w)"] != r["distinct(w)"]'

# Numbers are those that Python reads, to the last bit.
"$python3" -c '
import random
random.seed(1)
def number():
    digits = str(random.randrange(10 ** random.randrange(1, 20)))
    at = random.randrange(len(digits) + 1)
    text = random.choice(["", "-", "", "+"]) + digits[:at] + random.choice([".", "", "."]) + digits[at:]
    return text if random.random() < .8 else text + "e%d" % random.randrange(-30, 30)
with open("numbers.csv", "w") as file:
    file.write("id,x\n0,1.5\n" + "".join("%d,%s\n" % (i, number()) for i in range(1, 20000)))'
tally -- numbers.csv --by id --show 'top(1,x),median(x)' --type id=text --json
check "numbers are read as Python reads them" "$python3" -c '
import csv, json
want = {r["id"]: float(r["x"]) for r in csv.DictReader(open("numbers.csv"))}
got = {r["id"]: (r["top(1,x)"][0], r["median(x)"]) for r in json.load(open("out"))["results"]}
assert len(got) == 20000
for k in want:
    assert got[k] == (want[k], want[k]), (k, want[k], got[k])'

# Most places in this file are in quotes, in lines that look like rows.
"$python3" -c '
import csv
out = csv.writer(open("quoted.csv", "w", newline=""), lineterminator="\n")
out.writerow(["a", "text"])
out.writerows([i, "\n".join("%d,x" % (i * 7 + k) for k in range(i % 600))] for i in range(3000))'
for block in 1000 65536 100000000; do
    tally -- quoted.csv --show 'count,sum(a),max(a),distinct(text)' --csv --block $block
    check "rows of many lines, in blocks of $block bytes" prints "count,sum(a),max(a),distinct(text)
3000,4498500,2999,$((3000 - 5))"
done

# Killed at random. Runs come behind whoever is to strike them before they end.
tally -- plain.csv --by key --show 'count,sum(w),mean(v),stddev(w),median(v)' --csv --block 65536
cp out quiet
strike()
{
    local victims
    while sleep 0.0$((RANDOM % 4 + 1)); do
        victims=($(named mpmap-worker $(tree "$1")))
        [ ${#victims[@]} -eq 0 ] || kill -9 "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null && echo >>strikes
    done
}
: >strikes
for times in 1 2; do
    timeout 100 nice -n 19 "$tally" plain.csv --by key --show 'count,sum(w),mean(v),stddev(w),median(v)' --csv \
        --block 65536 --attempts 1000 --quiet >out 2>err &
    started=$!
    strike $started 2>/dev/null &
    striker=$!
    wait $started
    status=$?
    kill $striker
    wait $striker 2>/dev/null
    check "with workers killed the bytes are the same" same_as quiet
done
check "workers were killed" [ -s strikes ]

# Killed as a whole, and resumed.
for output in over.csv over.h5:/result; do
    file=${output%%:*}
    args=(plain.csv --by key --show 'count,sum(w),mean(v),stddev(w),median(v),top(2,v)' --block 65536 --quiet)
    timeout 100 "$tally" "${args[@]}" --output "$output" >out 2>err
    check "$file is written" [ -s "$file" ]
    mv "$file" "whole-$file"
    kills=0
    for i in 30 50 70 90 60; do
        { timeout -s KILL 0.0$i "$tally" "${args[@]}" --output "$output" --resume >out 2>err; } 2>/dev/null
        [ $? != 137 ] || kills=$((kills + 1))
    done
    "$tally" "${args[@]}" --output "$output" --resume >out 2>err
    if [ "$file" = over.csv ]; then
        check "killed $kills times and resumed, $file has the same bytes" cmp "$file" "whole-$file"
    elif command -v h5diff >/dev/null; then
        check "killed $kills times and resumed, $file has the same values" h5diff "$file" "whole-$file"
    fi
    check "nothing is left beside $file" [ ! -e "$file.part" ]
done
# A record that was cut off or damaged is used as far as it is good.
is_half() { [ "$(stat -c %s half.csv.part 2>/dev/null || echo 0)" -ge 100000 ]; }
half()
{
    local i killed
    for i in 1 2 3 4 5 6 7 8 9 10; do
        rm -f half.csv half.csv.part
        nice -n 19 "$tally" plain.csv --by key --show 'sum(w),median(v)' --block 65536 --quiet --output half.csv \
            >out 2>err &
        killed=$!
        wait_for 60 is_half
        kill -9 $killed
        wait $killed 2>/dev/null
        [ -e half.csv ] || ! is_half || return 0
    done
    return 1
}
timeout 100 "$tally" plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output whole.csv --quiet
for damage in 'truncate -s -5000' 'truncate -s +5000' flip; do
    check "a pass was killed half way" half
    if [ "$damage" = flip ]; then
        printf 'x' | dd of=half.csv.part bs=1 seek=60000 conv=notrunc 2>/dev/null
    else
        $damage half.csv.part
    fi
    tally -- plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output half.csv --resume
    check "its record is damaged ($damage), and the result is the same" cmp half.csv whole.csv
done
# The first row is changed behind its back: who reads it again sees that.
check "a pass was killed half way" half
cp -p plain.csv kept.csv
printf 'k1' | dd of=plain.csv bs=1 seek=14 conv=notrunc 2>/dev/null
touch -r kept.csv plain.csv
tally -- plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output half.csv --resume
check "what was recorded is not read again" cmp half.csv whole.csv
rm half.csv
tally -- plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output half.csv --resume
differs() { [ "$status" = 0 ] && ! cmp -s half.csv whole.csv; }
check "and would show" differs
cp -p kept.csv plain.csv
check "another question does not go on with it" half
tally -- plain.csv --by key --show 'sum(w)' --block 65536 --output half.csv --resume
check "but is refused" fails_with 1 "is of another question, or the files have changed since"
tally -- plain.csv --by key --show 'sum(w)' --block 65536 --output half.csv
check "without --resume the record stays" fails_with 1 "is what an earlier run has left"
rm -f half.csv.part
"$tally" plain.csv --by key --show 'sum(w),median(v)' --block 65536 --quiet --output half.csv >out 2>err &
started=$!
wait_for 60 is_half
kill -TERM $started
wait $started
status=$?
stopped_or_done() { [ "$status" = 75 ] && [ -e half.csv.part ] || { [ "$status" = 0 ] && [ -e half.csv ]; }; }
check "a signal stops it, and it can go on" stopped_or_done
tally -- plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output half.csv --resume
check "and goes on" cmp half.csv whole.csv
cp half.csv half.csv.part
tally -- plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output half.csv --resume
check "what else is called so stays" fails_with 1 "is not what an earlier run has left"
rm -f half.csv.part
echo "what a killed run has left" >left.csv.tally-draft
tally -- plain.csv --by key --show 'sum(w),median(v)' --block 65536 --output left.csv
check "a half-written output is taken by the next run" cmp left.csv whole.csv
check "and is gone" [ ! -e left.csv.tally-draft ]
echo "what a killed run has left" >left.h5.tally-draft
tally -- plain.csv --by key --show 'sum(w)' --output left.h5:/sums
check "the same of HDF5" [ -s left.h5 -a ! -e left.h5.tally-draft ]
coproc locker { /usr/bin/python3 -c '
import fcntl
file = open("busy.csv.tally-draft", "w")
fcntl.lockf(file, fcntl.LOCK_EX); print("locked", flush=True); input()'; }
started=$locker_PID
read -r _ <&"${locker[0]}"
tally -- plain.csv --by key --show count --output busy.csv
check "two runs do not write one file" fails_with 1 "another run is making 'busy.csv'"
echo >&"${locker[1]}"
wait "$started"
rm -f left.csv left.h5 busy.csv.*
tally -- plain.csv --by kex --show count --output half.csv --overwrite
check "a run that fails leaves the old output" cmp half.csv whole.csv

tally -- plain.csv --by key --show count --output over.csv
check "an output that exists stays" fails_with 1 "'over.csv' exists; --overwrite replaces it"
tally -- plain.csv --by key --show count --output plain.csv --overwrite
check "the input is never overwritten" fails_with 1 "is an input"

# Rows that cannot be read.
printf 'a,b\n1,2\n\n3\n4,5,6\n7,x\n"8,9\n10,11\n"12"3,13\n14,\0\n"15",16\n17,18' >bad.csv
loud bad.csv --show 'count,sum(a),sum(b)' --csv
check "bad rows cost themselves" [ "$(tail -n 1 out)" = "4,43,47" ]
check "and the exit status says so" [ "$status" = 1 ]
for line in "line 3: an empty line" "line 4: columns missing: 1 of 2: '3'" "line 5: too many columns: 3 of 2: '4,5,6'" \
    "line 6: a number that is none in column 'b': 'x'" "line 7: a quote that never closes" \
    "line 9: text behind a closing quote" "line 10: a byte of 0" "1 rows left out: a byte of 0"; do
    check "listed: $line" grep -qF "$line" err
done
loud bad.csv --show count --bad skip --csv
check "or does not" prints "count
5"
loud bad.csv --show 'count,sum(b)' --bad refuse
check "or they are refused" fails_with 1 "'bad.csv' line 3: an empty line; --bad count leaves such rows out"
check "without a result" [ ! -s out ]
{
    printf 'a,b\n1,2\n"'
    head -c 3000000 /dev/zero | tr '\0' 'x'
    printf '\n3,4\n'
    head -c 3000000 /dev/zero | tr '\0' 'y'
    printf '\n5,6\n'
} >long.csv
for block in 65536 1000000 100000000; do
    loud long.csv --show 'count,sum(b)' --csv --block $block
    check "rows without end cost themselves, in blocks of $block bytes" [ "$(tail -n 1 out)" = "3,12" ]
    check "and are two" [ "$(grep -c "'long.csv' line" err)" = 2 ]
done
gzip -c plain.csv | head -c 300000 >torn.csv.gz
loud torn.csv.gz --by key
check "a compressed file that is torn is an error" fails_with 1 "'torn.csv.gz' is damaged: its compressed data end too early"
: >empty.csv
loud empty.csv
check "an empty file has no header" fails_with 1 "'empty.csv' is empty: it has no header"
loud plain.csv part2.csv
check "files have the same columns" fails_with 1 "'part2.csv' has 5 columns, but 'plain.csv' has 4"
loud none.csv
check "a file must be there" fails_with 1 "'none.csv' cannot be opened"
loud plain.csv --by kez
check "a column must be there" fails_with 2 "unknown column 'kez' (did you mean 'key'?)"
loud plain.csv --show 'sum(key)'
check "texts have no sum" fails_with 2 "column 'key' has texts such as 'k0', and no numbers"
loud plain.csv --show 'meen(v)'
check "a measure must be there" fails_with 2 "unknown measure 'meen' (did you mean 'mean'?)"

# What files of other programs look like.
printf '\xef\xbb\xbfa,b\r\n1,2\r\n3,4' >mark.csv
tally -- mark.csv --by a --show 'sum(b)' --csv
check "a mark of UTF-8, line ends of two characters, and none at the end" prints "a,sum(b)
1,2
3,4"
printf 'name;price\nx;1,5\ny;2,25\n' >semicolon.csv
loud semicolon.csv --csv
check "another separator is proposed" fails_with 1 "'semicolon.csv' has one column, 'name;price'; --separator ';' makes more of it"
printf 'x\ty\n1\t2\n' >tabs.csv
loud tabs.csv --csv --bad skip
check "and so is a tab" fails_with 0 "--separator tab makes more of it"
tally -- semicolon.csv --separator ';' --show 'sum(price)'
check "decimal commas are called so" fails_with 2 "has numbers with commas, such as '1,5': --decimal , reads them"
printf 'a,,a,b\n1,2,3,4\n' >twice.csv
tally -- twice.csv --show 'sum(a)'
check "a name of two columns is none" fails_with 2 "two columns are called 'a': say #1 or #3"
tally -- twice.csv --by '#1' --show 'sum(#3),sum(#2)' --csv
check "but their numbers are" prints "#1,sum(#3),sum(#2)
1,3,2"
tally -- twice.csv --csv
check "which stand for them without being asked, too" [ "$(head -n 1 out)" = \
    'count,min(#1),mean(#1),max(#1),min(#2),mean(#2),max(#2),min(#3),mean(#3),max(#3),min(b),mean(b),max(b)' ]
printf -- '--by,-x\n1,2\n1,3\n' >options.csv
tally -- options.csv --by=--by --show 'sum(-x)' --csv
check "columns may be called like options" prints "--by,sum(-x)
1,5"
printf 'a,b\n' >header.csv
tally -- header.csv --show 'count,sum(b)' --csv
check "a header alone is a file of no rows" prints "count,sum(b)
0,0"
"$python3" -c '
print(",".join("c%d" % i for i in range(10000)))
for row in range(3):
    print(",".join(str(i * row) for i in range(10000)))' >wide.csv
tally -- wide.csv --show 'sum(c9999)' --csv
check "ten thousand columns" prints "sum(c9999)
29997"

# Variables of HDF5 and netCDF-4 files.
if "$python3" -c 'import h5py' 2>/dev/null; then
    cat >grid.py <<'P'
import h5py, numpy
random = numpy.random.default_rng(3)
x = random.normal(5, 2, (40, 7, 9)) + numpy.arange(40)[:, None, None] * random.normal(0, .1, (7, 9))
packed = numpy.round(x * 100).astype("i2")
packed[random.random(packed.shape) < .1] = -9999
for name, part in ("grid", packed), ("grid1", packed[:13]), ("grid2", packed[13:]):
    with h5py.File(name + ".h5", "w") as file:
        data = file.create_dataset("at/t", data=part, chunks=(5, 7, 9), compression="gzip")
        data.attrs.update(_FillValue=numpy.int16(-9999), scale_factor=0.01, add_offset=1.0)
P
    cat >grid_want.py <<'P'
import h5py, json, numpy, sys
values = h5py.File("grid.h5")["at/t"][()].astype(float)
values[values == -9999] = numpy.nan
values = values * .01 + 1
good = numpy.isfinite(values)
if sys.argv[1] == "whole":
    got = json.load(open("out"))
    assert got["count"] == good.sum() and got["missing"] == (~good).sum(), got
    for name, wanted in ("min", numpy.nanmin(values)), ("max", numpy.nanmax(values)), ("mean", numpy.nanmean(values)), \
            ("sum", numpy.nansum(values)), ("stddev", numpy.nanstd(values, ddof=1)):
        assert abs(got[name] - wanted) <= 1e-12 * abs(wanted), (name, got, wanted)
else:
    values = numpy.moveaxis(values, int(sys.argv[1]), 0)
    got = h5py.File(sys.argv[2])["all/cells"]
    assert numpy.allclose(got["mean"], numpy.nanmean(values, 0), rtol=1e-12)
    assert numpy.allclose(got["stddev"], numpy.nanstd(values, axis=0, ddof=1), rtol=1e-9)
    assert (got["count"][()] == numpy.isfinite(values).sum(0)).all()
    for place in numpy.ndindex(values.shape[1:]):
        series = values[(slice(None),) + place]
        at = numpy.isfinite(series)
        assert abs(numpy.polyfit(numpy.arange(len(series))[at], series[at], 1)[0] - got["trend"][place]) < 1e-9
P
    "$python3" grid.py
    tally -- grid.h5:/at/t --json
    check "all values of a variable are numpy's" "$python3" grid_want.py whole
    cp out whole
    tally -- grid.h5:/at/t --json --workers 5
    check "with five workers to the last bit" same_as whole
    tally -- 'grid[12].h5:/at/t' --json
    check "in two files" "$python3" grid_want.py whole
    for axis in 0 2; do
        tally -- grid.h5:/at/t --cells --axis $axis --output cells$axis.h5:/all/cells
        check "means and trends of cells along axis $axis are numpy's" "$python3" grid_want.py $axis cells$axis.h5
    done
    tally -- grid.h5:/at/t --cells --output cells0.h5:/all/cells
    check "what exists is not replaced" fails_with 1 "'cells0.h5' exists; --overwrite replaces it"
    tally -- grid.h5:/at/u
    check "a variable must be there" fails_with 1 "no data set /at/u"
    printf 'CDF\001' >old.nc
    tally -- old.nc:/at/t
    check "a classic file is told apart" fails_with 1 "nccopy -k nc4 old.nc NEW.nc"
else
    skip "variables of HDF5 files" "python3 has no h5py"
fi

report
