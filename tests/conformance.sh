#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# CONFORMANCE.md is complete and true: every promise names a test that there is; every test that is named runs
# at home and across nodes; every test of the programs that it is about stands in it.
#
# A row is "| promise | `program.test` `program.test` … |": program_test.c has that CUnit test. `script.sh` is a
# script, `program.*` all tests of a program. "(home)" behind a promise: it is about one node; "(far)": it is about
# other nodes only.
folder=${2:-${MPMAP_SOURCE:?}}/tests
table=$folder/CONFORMANCE.md
launches=$folder/CMakeLists.txt
failed=0 rows=0 named=0

complain()
{
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# The names of the CUnit tests of a program.
tests_of()
{
    sed -n 's/^ *{"\([a-z0-9_]*\)",.*/\1/p; s/^ *TEST(\([a-z0-9_]*\)),.*/\1/p' "$folder/$1_test.c"
}

# check_reference PROMISE REFERENCE
check_reference()
{
    local program=${2%%.*} test=${2#*.} launch

    named=$((named + 1))
    if [ "$test" = sh ]; then
        [ -f "$folder/$2" ] || complain "there is no $2, which is to show: $1"
        return
    fi
    if [ ! -f "$folder/${program}_test.c" ]; then
        complain "there is no ${program}_test.c, which is to show: $1"
        return
    fi
    [ "$test" = '*' ] || tests_of "$program" | grep -qx "$test" ||
        complain "${program}_test.c has no test $test, which is to show: $1"
    launch=$(grep -E "^mpmap_test\($program " "$launches")
    [[ $1 == *"(far)"* || $launch == *" solo"* ]] || complain "$program is not run at home, which is to show: $1"
    [[ $1 == *"(home)"* || $launch == *" n2"* ]] || complain "$program is not run across nodes, which is to show: $1"
}

while IFS='|' read -r _ promise references _; do
    [[ $promise =~ [a-zA-Z] && $promise != " promise "* ]] || continue
    rows=$((rows + 1))
    mapfile -t names < <(grep -o '`[a-z0-9_]*\.[a-z0-9_*]*`' <<<"$references" | tr -d '\`')
    [ ${#names[@]} -gt 0 ] || complain "no test shows: $promise"
    for name in "${names[@]}"; do check_reference "$promise" "$name"; done
done < <(grep '^|' "$table")

for program in $(sed -n 's/^Programs whose every test stands here: //p' "$table" | tr -d '\`,.'); do
    [ -f "$folder/${program}_test.c" ] || { complain "there is no ${program}_test.c, whose every test is to have a row"; continue; }
    for test in $(tests_of "$program"); do
        grep -q "\`$program\.$test\`\|\`$program\.\*\`" "$table" ||
            complain "$program.$test stands in no row of CONFORMANCE.md"
    done
done

echo "$rows promises, $named references to tests"
[ "$failed" = 0 ] && [ "$rows" -ge 50 ] && [ "$named" -ge "$rows" ]
