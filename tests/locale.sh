#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Under a plugin that sets a locale in which numbers have a comma: what a user writes has a point as ever (--where, --param,
# --fill, --edge, defaults of parameters, MPMAP_NODE_TIMEOUT), JSON is JSON, and what was begun under one locale is resumed
# under another. Last line: "N passed, N failed".
set -uo pipefail

. "$(dirname "$0")/support/data_sets.sh"
printf '%s\n' LC_NUMERIC 'decimal_point ","' 'thousands_sep "."' 'grouping 3' 'END LC_NUMERIC' >comma.source
localedef -c -i comma.source -f ANSI_X3.4-1968 --no-archive "$work/xx_XX" 2>/dev/null
comma=(env -u LC_ALL LOCPATH="$work" LC_NUMERIC=xx_XX)
[ "$("${comma[@]}" locale decimal_point 2>/dev/null)" = , ] ||
    { echo "skipped, because no locale with a decimal comma can be made here"; exit 0; }
export MPMAP_NODE_TIMEOUT=2.5
map=("$bin/mpmap" map "$test_plugins/comma.so:scale" in.h5:/x)

printf '%s\n' 1.5 2.5 -1 4.5 >numbers.txt
text_set in.h5 /x TEXTFP 64 4
"${comma[@]}" "${map[@]}" out.h5:/y --where '/x > 2.25' --param offset=0.25 >out 2>err
check "numbers of --where and --param, and defaults of parameters" [ "$(values out.h5 /y)" = 4,7 ]
"${comma[@]}" "${map[@]}" filled.h5:/y --param offset=0.25 --fill 0.5 --progress json >out 2>err
check "a number of --fill" [ "$(values filled.h5 /y)" = 2.5,4,0.5,7 ]
check "numbers of JSON" grep -qE '"elapsed_s":[0-9]+\.[0-9],"rate":' err
rm in.h5
printf '%s\n' 1.5 -2 -1 4.5 >numbers.txt
text_set in.h5 /x TEXTFP 64 4
tiles=(tiles.h5:/y --param offset=0.25 --tile 1 --halo 1 --edge constant:0.125 --max-failures 1)
"${comma[@]}" "${map[@]}" "${tiles[@]}" >out 2>err
check "a map ends with too many failures" grep -q '2 of 4 items have failed' err
"${map[@]}" "${tiles[@]}" --resume >out 2>err
check "under another locale it is the same map" grep -q 'going on with the other' err
report
