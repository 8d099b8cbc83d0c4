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
echo "$checked headers"
[ $failed = 0 ] && [ $checked -gt 0 ]
