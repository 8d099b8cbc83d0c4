#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap tally with files as other programs write them: decimal commas, words for what is missing, dates as text, comments,
# rows that end early, a mark of UTF-8, no header, stdin. What a European export says is, byte for byte, what the same file
# says with points; what cannot be read is refused in a sentence that names the column, the value and what would be right.
# Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/data_sets.sh"
needs_program mpmap-tally
mkdir spools
export TMPDIR=$work/spools

# tally [COMMAND… --] ARGUMENT…: what is in `text` is its stdin; sets $status.
: >text
tally()
{
    timeout 100 "${launcher[@]}" "$bin/mpmap-tally" "$@" --progress off >out 2>err <text
    status=$?
}
launcher=()
prints() { [ "$status" -eq 0 ] && [ "$(cat out)" = "$1" ]; }
same_as() { [ "$status" -eq 0 ] && cmp -s out "$1"; }
refuses() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]] && [ ! -s out ]; }

# The same rows with points and commas: short and long numbers, exponents, signs, quotes, missing ones.
awk -v seed=3 'BEGIN { srand(seed); print "key,x,y"
    for (i = 0; i < 40000; i++) {
        x = i % 11 == 0 ? "" : sprintf("%.*f", i % 5, (rand() - 0.5) * 10 ^ (i % 9))
        y = i % 13 == 0 ? "NA" : i % 7 == 0 ? sprintf("%.3e", rand() * 10 ^ (i % 30)) : sprintf("+%.12f", rand())
        print "k" i % 17 "," (i % 19 ? x : "\"" x "\"") "," y
    } }' >points.csv
tr ',.' ';,' <points.csv >commas.csv
measures='count,count(x),sum(x),mean(x),min(x),max(x),stddev(x),median(x),sum(y),max(y),top(2,y),corr(x,y),distinct(x)'
tally points.csv --by key --show "$measures" --csv --block 65536
cp out points
tally commas.csv --decimal , --by key --show "$measures" --csv --block 65536
check "a file with decimal commas has the results of one with points" same_as points
tally points.csv --where 'x > 12.5' --csv
cp out above
for number in 12.5 12,5; do
    tally commas.csv --decimal , --where "x > $number" --csv
    check "a condition may be written $number" same_as above
done
printf 'p;n\n2,5;1\n10,5;1\n-1,5;1\n2,50;1\n' >keys.csv
tally keys.csv --decimal , --by p --show count --csv
check "keys are numbers in their order, as they were written" prints 'p,count
"-1,5",1
"2,5",1
"2,50",1
"10,5",1'
tr ';' '\t' <commas.csv >tabs.csv
tally tabs.csv --decimal , --separator tab --by key --show "$measures" --csv --block 65536
check "tabs between them do as well" same_as points
tally commas.csv --separator ';' --show 'sum(x)'
check "without --decimal they are texts" refuses 2 "column 'x' has numbers with commas, such as '"
check "and what reads them is said" refuses 2 "--decimal , reads them"
tally points.csv --decimal , --separator ,
check "a comma is not both" refuses 2 "--separator and --decimal are both ','"
tally points.csv --decimal x
check "decimals have a point or a comma" refuses 2 "--decimal is 'x', but must be . or ,"
while IFS='|' read -r value options advice; do
    printf 'a;b\n%s;1\n' "$value" >thousands.csv
    tally thousands.csv --separator ';' $options --show 'sum(a)'
    check "$value $options" refuses 2 "column 'a' has numbers such as '$value': thousands must not be separated$advice"
done <<'T'
1,234||; if that is a decimal comma, --decimal , reads it
1,234.5||; try
1.234,5||; try
1 234||; try
1'234.5||; try
1.234|--decimal ,|; try
12.345.678||; try
T
{ printf 'a,b\n'; seq -f '%g,1' 30000; printf '"1,234",1\n7,1\n'; } >late.csv
tally late.csv --show 'count,sum(a)' --csv
check "behind the first rows a separated number is a bad row" [ "$status" = 1 -a "$(tail -n 1 out)" = "30001,450015007" ]
check "with its line" grep -qF "'late.csv' line 30002: a number that is none in column 'a': '1,234'" err

printf 'k,v,t\na,1,x\na,NA,NA\nb,null,y\nb,-999,?\nb,NaN,?\nc,,\nd,N/A,x\nd,#N/A,q\nd,\\N,z\nd,None,z\nd,"n/a",z\n' >missing.csv
tally missing.csv --by k --show 'count,count(v),sum(v),count(t),distinct(t)' --csv
check "what R, pandas, spreadsheets and databases call missing is" prints 'k,count,count(v),sum(v),count(t),distinct(t)
a,2,1,1,2,2
b,3,1,-999,3,2
c,1,0,0,0,0
d,5,0,0,5,3'
tally missing.csv --by k --show 'count,count(v),sum(v),count(t),distinct(t)' --missing '-999,?,NA' --csv
check "and what it is told to, in texts as well" prints 'k,count,count(v),sum(v),count(t),distinct(t)
a,2,1,1,1,1
b,3,0,0,1,1
c,1,0,0,0,0
d,5,0,0,5,3'
tally missing.csv --by t --where 'k = b' --show count --missing '?' --csv
check "such keys are empty" prints 't,count
,2
y,1'
tally missing.csv --missing 'a,,b'
check "an empty word is none" refuses 2 "--missing has '', but a word must have 1 to 31 bytes"

printf 'day,v\n2024-01-03,1\n2024-01-09,2\n2024-02-01,3\n"2025-02-01",4\nöäü,5\nö,6\n' >days.csv
tally days.csv --by 'day[:7]' --show 'sum(v)' --csv
check "the beginning of a date is a key" prints 'day[:7],sum(v)
2024-01,3
2024-02,3
2025-02,4
ö,6
öäü,5'
tally days.csv --by 'day[:1],day' --where 'day[:3] != 202' --show 'count,distinct(day[:1])' --csv
check "of characters, beside the whole, in conditions and measures" prints 'day[:1],day,count,distinct(day[:1])
ö,ö,1,1
ö,öäü,1,1'
tally days.csv --by 'day[:0]'
check "of none it is no column" refuses 2 "unknown column 'day[:0]'"
tally days.csv --show 'sum(day[:4])'
check "it is a text" refuses 2 "column 'day[:4]' has texts"
printf 'a[:1],a\nxy,zw\n' >named.csv
tally named.csv --by 'a[:1]' --show count --csv
check "a column of that name goes first" prints 'a[:1],count
xy,1'

printf '\xef\xbb\xbfa;b\r\n"1,5";x\r\n2;y' >marked.csv
tally marked.csv --decimal , --by b --show 'sum(a)' --csv
check "a mark, two characters at line ends and none at the last, quoted numbers" prints 'b,sum(a)
x,1.5
y,2'
# Comments anywhere, some of them with as many commas as a row, longer than what is read at once, and without an end; what
# looks like one in a quoted field of several lines is none.
awk 'NR % 5 == 1 { print "# no, 1, 2" } NR % 7000 == 0 { printf "#"; for (i = 0; i < 300000; i++) printf "long,"; print "" }
    { print } END { printf "#end" }' points.csv >commented.csv
for block in 65536 1000000000; do
    tally commented.csv --comment '#' --by key --show 'count,sum(x),distinct(y)' --csv --block $block
    cp out commented
    tally points.csv --by key --show 'count,sum(x),distinct(y)' --csv --block $block
    check "comments are skipped, in blocks of $block bytes" same_as commented
done
printf '#a\n#b\nk,v\n1,"x\n#y"\n#2,3\n3,z\n4\n' >few.csv
tally few.csv --comment '#' --by v --show 'sum(k)' --csv --bad skip
check "before the header, but not within a field" prints 'v,sum(k)
"x
#y",1
z,3'
check "and lines are counted all the same" grep -qF "'few.csv' line 8: columns missing: 1 of 2: '4'" err
tally few.csv --comment '#' --by v --show 'sum(k)' --csv --fill
check "columns that are missing at the end may be filled" prints 'v,sum(k)
,4
"x
#y",1
z,3'
printf '1\n2,x\n3,x\n' >short.csv
tally short.csv --names k,v --fill --by v --show 'sum(k)' --csv
check "names may be more than the first row has values" prints 'v,sum(k)
,1
x,5'
tally short.csv --names k,v --by v
check "but not without" refuses 1 "--names has 2 names, but 'short.csv' has 1 columns"
tally points.csv --comment ,
check "a comment does not begin with the separator" refuses 2 "--comment is ',', but must be one character such as #"
printf 'a,b\n1,2,%.40s\xc3\xb6\xc3\xb6\n' "$(printf 'x%.0s' {1..43})x" >cut.csv
tally cut.csv --show count --bad skip
check "what is shown of a row ends with a whole character" iconv -f utf-8 -t utf-8 err -o told
tally days.csv --show 'avg(v),std(v),var(v)' --csv
check "measures have the names that other programs give them" prints 'avg(v),std(v),var(v)
3.5,1.8708286933869707,3.5'
printf '5.1,3.5\n4.9,3.0\n' >bare.csv
tally bare.csv --show count --csv
check "a header of numbers is told" [ "$status" = 0 -a "$(tail -n 1 out)" = 1 ]
check "with the option" grep -qF "has numbers in its header, such as '5.1'; --no-header takes the first line as a row" err
printf '0,1,2\n4.9,3.0,7\n' >series.csv
tally series.csv --show count --csv
check "but not one of 0, 1, 2" [ "$status" = 0 -a ! -s err ]

# stdin: a file, a pipe, compressed, on several nodes; the bytes are those of the file.
tally points.csv --by key --show "$measures" --csv --block 65536
cp out whole
cp points.csv text
tally - --by key --show "$measures" --csv --block 65536
check "stdin may be a file" same_as whole
piped() { "$@" | "${launcher[@]}" timeout 100 "$bin/mpmap-tally" - --by key --show "$measures" --csv --block 65536 >out 2>err; status=$?; }
piped cat points.csv
check "or a pipe" same_as whole
if command -v mpirun >/dev/null; then
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
    piped cat points.csv
    check "also over nodes" same_as whole
    launcher=()
fi
tally points.csv --by key --show "$measures" --csv --block 100000000
cp out single
piped gzip -c points.csv
check "or compressed" same_as single
printf 'a\n1\nx\n' >text
tally - --type a=number --csv --show 'sum(a)'
check "a bad row of it has a line" grep -qF "'stdin' line 3: a number that is none" err
tally - -
check "it is read once" refuses 2 "stdin is given twice"
: >text
tally -
check "it may be empty" refuses 1 "'stdin' is empty: it has no header"
cat points.csv | TMPDIR=$work/none timeout 100 "$bin/mpmap-tally" - >out 2>err
status=$?
check "where it cannot be kept is said" refuses 1 "stdin cannot be kept in '$work/none': No such file or directory; TMPDIR"
check "nothing of it is left" [ -z "$(ls -A spools)" ]
report
