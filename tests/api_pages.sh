#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The pages of the API are made from the headers without a warning: each function that the library exports has a manual page, and
# mpmap(1) says what the command says. A function or a parameter without a text is an error. Arguments: the folder of the
# programs, and that of the sources.
set -uo pipefail

bin=$(realpath "${1:-${MPMAP_BIN:?}}")
source_folder=$(realpath "${2:-${MPMAP_SOURCE:?}}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8
said=$work/said
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"

make_pages() { "$1/doc/make.sh" "$bin" "$1" "$2"; }

functions_have_pages()
{
    local name wrong=0
    for name in $(nm -D --defined-only "$bin/../lib/libmpmap.so" | awk '$3 ~ /^mpm_/ { print $3 }'); do
        [ -f "$work/out/man/man3/$name.3" ] && continue
        echo "$name has no page"
        wrong=1
    done
    return $wrong
}

# What man says of a page, warnings included.
pages_are_clean()
{
    local page wrong=0
    for page in "$work"/out/man/man3/mpmap*.3 "$work/out/man/man1/mpmap.1"; do
        (cd "$work/out/man" && man --warnings -l "$page" 2>&1 >/dev/null) >"$work/warnings"
        [ -s "$work/warnings" ] || continue
        echo "$page:"
        cat "$work/warnings"
        wrong=1
    done
    return $wrong
}

# Each line of each help is in mpmap(1).
command_is_told()
{
    local command wrong=0
    MANWIDTH=200 man -l "$work/out/man/man1/mpmap.1" | sed 's/^ *//' >"$work/page"
    for command in "" map info bench; do
        "$bin/mpmap" $command --help | sed 's/^usage: //; s/^ *//' | grep -vxFf "$work/page" && wrong=1
    done
    return $wrong
}

# with_fault FILE SED_PROGRAM: the same sources, with a fault.
with_fault()
{
    rm -rf "$work/faulty"
    mkdir -p "$work/faulty/lib"
    cp -r "$source_folder/doc" "$work/faulty"
    cp -r "$source_folder/lib/include" "$work/faulty/lib"
    sed -i "$2" "$work/faulty/lib/include/mpmap/$1"
    ! cmp -s "$work/faulty/lib/include/mpmap/$1" "$source_folder/lib/include/mpmap/$1" &&
        ! make_pages "$work/faulty" "$work/faulty/out"
}

if ! command -v doxygen >/dev/null; then
    echo "the pages of the API: skipped, because doxygen is not installed"
    exit 0
fi
check "pages are made without a warning" make_pages "$source_folder" "$work/out"
check "there is a page for a browser" [ -f "$work/out/html/index.html" ]
check "each function has a page" functions_have_pages
if command -v man >/dev/null && grep -q mpmap <<<"$(man -l "$work/out/man/man1/mpmap.1" 2>/dev/null)"; then
    check "man shows the pages without a warning" pages_are_clean
    check "mpmap(1) says what mpmap --help says" command_is_told
else
    echo "what man shows: skipped, because man is not installed"
fi
check "a function without a text is an error" with_fault queue.h 's|^MPM_END$|MPM_API int mpm_untold(void);\nMPM_END|'
check "a parameter without a text is an error" with_fault queue.h '0,/ \* @param timeout_s/{/ \* @param timeout_s/d}'

report
