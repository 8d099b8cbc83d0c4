#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap-tune with what a stranger gives it: labels that are all the same, names, or in no column; cells that are no
# numbers; fewer rows than folds; parameters that make no sense. Each is told in a sentence that names the thing, the
# value and what would be right, before anything is written. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/data_sets.sh"
needs_program mpmap-tune
export TMPDIR=$work

# tune ARGUMENT…: one candidate of C; sets $status.
tune()
{
    rm -rf made
    timeout 100 "$bin/mpmap" tune --out made --param C=1 --param gamma=1 --no-model "$@" >out 2>err </dev/null
    status=$?
}

says() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }
is_refused() { says "$1" "$2" && [ "$(wc -l <err)" = 1 ] && [ ! -e made ]; }
has() { [ "$status" -eq 0 ] && [[ $(cat out) == *"$1"* ]]; }

# rows FORMAT: two features and a label for each of 40 rows, the label from the row's number by printf and awk.
rows() { awk -v label="$1" 'BEGIN { for (i = 0; i < 40; i++) { l = label; gsub("PAIR", int(i / 2), l)
    gsub("PARITY", i % 2, l); gsub("NAME", i % 2 ? "cat" : "dog", l); gsub("RARE", i < 3 ? "rare" : "often", l)
    print i % 7 "." i ",-" i * 13 % 11 "," l } }'; }
# given NAME LABEL [LAST ROW]
given() { { echo "a,b,y"; rows "$2"; [ $# -lt 3 ] || echo "$3"; } >"$1.csv"; }

given good PARITY
tune good.csv --json
check "what is good is taken" has '"rows": 40, "candidates": 1, "fits": 5, '
given same 0
tune same.csv
check "one label" is_refused 1 "'same.csv': all 40 rows have the label 0, but a classifier needs two at least"
given same cat
tune same.csv
check "one label with a name" is_refused 1 "all 40 rows have the label 'cat'"
head -n 5 good.csv >few.csv
tune few.csv
check "few rows" is_refused 1 "'few.csv' has 4 rows: too few for 5 folds of two rows at least; --folds 2 or less is right"
tune few.csv --folds 2
check "and so it is" [ "$status" = 0 ]
tune good.csv --folds 2 --nested 21
check "few rows for outer folds" is_refused 1 "too few for 21 folds of two rows at least; --nested 20 or less is right"
given ids namePAIR
tune ids.csv
check "as many labels as rows" is_refused 1 \
    "each of 20 labels has fewer rows than there are folds (5), the most frequent one 2: is that the label's column?"
given rare RARE
tune rare.csv
check "a rare label is told" says 0 "1 of 2 labels have fewer rows than there are folds (5), such as 'rare' with 3"
check "and done all the same" [ -s made/scores.h5 ]

for cell in nan inf '' NA; do
    given "cell" PARITY "1.5,$cell,0"
    tune cell.csv
    check "'$cell' as a feature" is_refused 1 \
        "cell.csv:42: column 'b' (2) has '$cell', but a feature must be a finite number: leave such rows out, or fill"
done
given cell PARITY "red,1,0"
tune cell.csv
check "a text as a feature" is_refused 1 "cell.csv:42: column 'a' (1) has 'red', but a feature must be a finite number: make"
given cell PARITY "1,1,"
tune cell.csv
check "no label" is_refused 1 "cell.csv:42: the label is empty, in column 'y' (3)"
given cell PARITY "1,1,cat"
tune cell.csv
check "a label of another kind" is_refused 1 "cell.csv:42: the label is 'cat', in column 'y' (3), but those before are numbers"
given cell 0.5
tune cell.csv
check "labels that are fractions" is_refused 1 \
    "the label 0.5 is no whole number from -1e9 to 1e9; a regression takes any number: --learner eps-svr-rbf"
given names NAME
tune names.csv --json
check "labels that are texts" has '"rows": 40,'
tune names.csv --learner eps-svr-rbf
check "but not of a regression" is_refused 1 "'names.csv': the target 'dog' is no number, and a regression needs one"

tune good.csv --label z
check "a label column that is none" is_refused 2 "--label is 'z', but 'good.csv' has no column of that name: it has 'a', 'b', 'y'"
tune good.csv --label 4
check "nor is its number" is_refused 2 "--label is '4', but 'good.csv' has no column of that name"
sed '1s/.*/y,b,y/' good.csv >twice.csv
tune twice.csv --label y
check "a name of two columns" is_refused 2 "--label is 'y', but two columns of 'twice.csv' are called so: say 1 or 3"
tune twice.csv --label 3 --json
check "but its number is one" has '"rows": 40,'
sed '1s/.*/a,a,y/' good.csv >alike.csv
tune alike.csv --label y --json
check "names of features may be the same" has '"rows": 40,'
cut -d, -f2,3 good.csv >one.csv
tune one.csv --json
check "one feature is enough" has '"rows": 40,'
cut -d, -f3 good.csv >none.csv
tune none.csv
check "none is not" is_refused 1 "none.csv:1: there is one column only: a label and a feature are two"
cp good.csv good.txt
tune good.txt
check "CSV by another name" is_refused 1 "good.txt:1 has commas: --format csv reads CSV"
tune good.txt --format csv
check "and so it does" [ "$status" = 0 ]
gzip -c good.csv >packed.csv
tune packed.csv
check "a compressed file" is_refused 1 "'packed.csv' is compressed: give it as gunzip or unzstd make it"
tune good.csv --learner svc
check "a learner of no such name" is_refused 2 "unknown learner 'svc': there are c-svc-rbf, c-svc-linear, "
tr , ';' <good.csv >semicolon.csv
tune semicolon.csv
check "another separator" is_refused 1 "there is one column, 'a;b;y': fields must be separated by commas, not by ';'"
sed '1s/.*/0,1,target/' good.csv >numbered.csv
for option in '' '--label target'; do
    tune numbered.csv $option --json
    check "a header of numbers and the label's name is one $option" has '"rows": 40,'
done
awk 'NR == 1 { print "," $0; next } { print NR - 2 "," $0 }' good.csv >index.csv
tune index.csv
check "a first column that counts rows is told" says 0 "'index.csv': the first column counts the rows, which is hardly a feature"
sed 's/^7,/8,/' index.csv >values.csv
tune values.csv
check "one of other numbers is not" [ "$status" = 0 -a ! -s err ]
sed 1d names.csv >bare.csv
tune bare.csv --json
check "a row with a label that is a text is none" has '"rows": 40,'
{ printf '\xef\xbb\xbf'; awk -F, '{ print $3 "," $1 "," $2 }' good.csv; } >mark.csv
tune mark.csv --label y --json
check "a mark of UTF-8 is no part of a name" has '"rows": 40,'

# refuses LEARNER PARAMETER SENTENCE
refuses()
{
    rm -rf made
    timeout 100 "$bin/mpmap" tune good.csv --out made --learner "$1" --param "$2" >out 2>err </dev/null
    status=$?
    check "$1, $2" is_refused 2 "--param is '$2': $3"
}
refuses c-svc-rbf C=-1,1 "C is -1, but must be above 0"
refuses c-svc-rbf C=lin:0:1:0.5 "C is 0, but must be above 0"
refuses c-svc-rbf gamma=-1 "gamma is -1, but must be above 0"
refuses c-svc-poly degree=2.5 "degree is 2.5, but must be a whole number from 1 to 1000"
refuses nu-svc-rbf nu=0.5,2 "nu is 2, but must be above 0 and at most 1"
refuses eps-svr-rbf p=-0.5 "p is -0.5, but must be 0 or more"
refuses linear C=0 "C is 0, but must be above 0"
if [ "$(timeout 100 "$bin/mpmap" tune good.csv --out trees --learner trees --param rounds=1 --param eta=1 --param depth=1 \
    --quiet >out 2>err; echo $?)" = 0 ]; then
    refuses trees depth=0 "depth is 0, but must be a whole number from 1 to 1000"
    refuses trees rounds=0 "rounds is 0, but must be a whole number from 1 to 1000000"
    refuses trees eta=5 "eta is 5, but must be above 0 and at most 1"
else
    skip "parameters of trees" "libxgboost0 is not installed"
fi
tune good.csv --eps -1
check "where the learner stops" is_refused 2 "--eps is '-1', but must be a number above 0 and below 1, such as 0.001"
echo kept >file
timeout 100 "$bin/mpmap" tune good.csv --out file >out 2>err </dev/null
status=$?
check "a folder that is a file" says 1 "'file/fits.journal'"
check "stays what it is" [ "$(cat file)" = kept ]

if /usr/bin/python3 -c 'import h5py' 2>/dev/null; then
    /usr/bin/python3 -c '
import h5py
with h5py.File("given.h5", "w") as file:
    file["X"] = [[i, -i] for i in range(40)]
    file["bad"] = [[i, -i if i != 3 else float("nan")] for i in range(40)]
    file["y"] = [i % 2 for i in range(40)]
    file["target"] = [i if i != 5 else float("inf") for i in range(40)]
    file["names"] = [b"cat", b"dog"] * 20'
    tune given.h5:/bad
    check "nan in HDF5" is_refused 1 "'given.h5:/bad' has nan at row 3, column 1, but a feature must be a finite number"
    tune given.h5 --label /target
    check "a target that is none" is_refused 1 "'given.h5:/target' has inf at row 5, but a target must be a finite number"
    tune given.h5 --label /names
    check "labels that are texts in HDF5" is_refused 1 "'given.h5:/names' has texts: number them first"
    tune given.h5 --label /z
    check "no such data set" is_refused 1 "'given.h5:/z' is no data set of the file"
else
    skip "what HDF5 has" "python3 has no h5py"
fi
report
