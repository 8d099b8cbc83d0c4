#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What is so of every program mpmap-NAME of apps/: its help, its mistakes, its man page. Last line: "N passed, N failed".
set -uo pipefail

bin=$(realpath "${1:-${MPMAP_BIN:?}}")
source_folder=${2:-${MPMAP_SOURCE:?}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"

run()
{
    timeout 200 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# The options that a text names: --like-this.
options_of() { grep -oE -- '(^|[^-a-z])--[a-z][a-z0-9-]*' "$1" | grep -oE -- '--[a-z0-9-]+' | sort -u; }

# An option of several words is broken into lines nowhere, and "\-" is how roff writes a dash.
man_text() { sed 's/\\-/-/g' "$1"; }

# missing_in_page PAGE: what the help that was printed last has, and the page has not.
missing_in_page()
{
    comm -23 <(options_of "$work/out") <(man_text "$1" >"$work/page"; options_of "$work/page")
}

page_is_clean()
{
    [ -z "$(MANROFFSEQ='' MANWIDTH=100 man -l --warnings -E UTF-8 -Tutf8 -Z "$1" 2>&1 >/dev/null)" ]
}

check_program()
{
    local name=$1 program=$bin/mpmap-$1 page=$source_folder/apps/$1/mpmap-$1.1

    run "$program" --help
    count "mpmap-$name --help succeeds" $((status != 0))
    timeout 200 "$program" --help >/dev/full 2>"$work/err" </dev/null
    count "what cannot be printed is a failure" $(($? != 1))
    check "and is told" grep -q "^mpmap-$name: cannot write to standard output: " "$work/err"
    check "its help begins with the usage" grep -q "^usage: mpmap[ -]$name" <(head -n 1 "$work/out")
    check "its help fits 100 columns" test "$(wc -L <"$work/out")" -le 100
    check "its help has an example" grep -qi example "$work/out"
    check "its page names all options: $(missing_in_page "$page" | tr '\n' ' ')" test -z "$(missing_in_page "$page")"
    if command -v man >/dev/null; then
        check "its page has no warnings" page_is_clean "$page"
    fi
    run "$bin/mpmap" "$name" --help
    check "mpmap $name is the same" grep -q "^usage: mpmap[ -]$name" <(head -n 1 "$work/out")
    run "$program" --no-such-option
    count "mpmap-$name refuses an unknown option" $((status != 2))
    check "it names itself and the option" grep -q "^mpmap-$name: unknown option '--no-such-option'" "$work/err"
    run "$program"
    count "mpmap-$name without arguments is a wrong usage" $((status != 2))
    check "it says in one line what is missing" test "$(wc -l <"$work/err")" -eq 1
    for script in demo bench; do
        check "apps/$name/$script.sh is a script" bash -n "$source_folder/apps/$name/$script.sh"
        check "apps/$name/$script.sh may be run" test -x "$source_folder/apps/$name/$script.sh"
    done
}

for page in "$source_folder"/apps/*/mpmap-*.1; do
    name=$(basename "$(dirname "$page")")
    if [ -x "$bin/mpmap-$name" ]; then
        check_program "$name"
    else
        skip "mpmap-$name" "it was not built"
    fi
done
report
