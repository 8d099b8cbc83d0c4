#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compiles each public header alone, as C11 and, where there is a C++ compiler, as C++17. Arguments: the include folder,
# a C compiler, a C++ compiler.
set -u

include=$1 c=$2 cxx=${3:-}
if ! command -v "$cxx" >/dev/null; then
    echo "C++: skipped, because there is no C++ compiler: install g++"
    cxx=
fi
warnings="-Wall -Wextra -Wpedantic -Werror -fsyntax-only"
failed=0 checked=0

for header in $(cd "$include" && find . -name '*.h' -printf '%P\n' | sort); do
    # Without a declaration of its own a unit can be empty, which ISO C forbids.
    unit=$(printf "#include <%s>\nextern int not_empty;\n" "$header")
    "$c" -std=c11 $warnings -I "$include" -x c - <<<"$unit" || failed=1
    [ -z "$cxx" ] || "$cxx" -std=c++17 $warnings -I "$include" -x c++ - <<<"$unit" || failed=1
    checked=$((checked + 1))
done
# Short forms take their sizes from the types of pointers, and do not compile where a type does not tell the size.
short_form()
{
    local unit expected=$1 language

    unit=$(printf '%s\n' '#include <mpmap.h>' 'struct thing { double x; int n; };' \
        'int use(mpm_pool *pool, mpm_task *task, mpm_queue queue, mpm_connection end, void *bytes, struct thing *things);' \
        'int use(mpm_pool *pool, mpm_task *task, mpm_queue queue, mpm_connection end, void *bytes, struct thing *things)' \
        "{ double numbers[4]; char text[9] = \"text\"; const void *place = bytes; (void)numbers, (void)text, (void)place;
           (void)pool, (void)task, (void)queue, (void)end, (void)things; return $2; }")
    for language in c c++; do
        case $language in
        c) "$c" -std=c11 $warnings -I "$include" -x c - <<<"$unit" >/dev/null 2>&1 ;;
        c++) [ -n "$cxx" ] || continue
            "$cxx" -std=c++17 $warnings -I "$include" -x c++ - <<<"$unit" >/dev/null 2>&1 ;;
        esac
        if [ $? != "$expected" ]; then
            echo "$language: $2 $([ "$expected" = 0 ] && echo "does not compile" || echo "compiles")"
            failed=1
        fi
    done
}
short_form 0 'mpm_map(pool, task, things, 4, numbers)'
short_form 0 'mpm_map(pool, task, numbers, 4, &numbers[0])'
short_form 0 'mpm_map(pool, task, text, 9, numbers)'
short_form 0 'mpm_apply(pool, task, things, &numbers[0])'
short_form 0 'mpm_put(queue, things) || mpm_get(queue, things) || mpm_put(queue, &text)'
short_form 0 'mpm_send(end, things) || mpm_recv(end, &numbers)'
short_form 1 'mpm_map(pool, task, bytes, 4, numbers)'
short_form 1 'mpm_map(pool, task, place, 4, numbers)'
short_form 1 'mpm_map(pool, task, numbers, 4, bytes)'
short_form 1 'mpm_map(pool, task, numbers, 4, NULL)'
short_form 1 'mpm_apply(pool, task, place, numbers)'
short_form 1 'mpm_put(queue, "text")'
short_form 1 'mpm_put(queue, text)'
short_form 1 'mpm_get(queue, bytes)'
short_form 1 'mpm_send(end, place)'
short_form 1 'mpm_recv(end, text)'

echo "$checked headers"
[ $failed = 0 ] && [ $checked -gt 0 ]
