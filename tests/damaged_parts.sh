#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What stands where a map would go on: parts that are cut, lengthened, or have changed in any of their bytes, and files
# that are no parts. Each is refused with a sentence and stays as it is, or the map goes on and makes the very bytes
# that one makes which nobody has disturbed. damaged_parts.py does it. Arguments: folder of mpmap, folder of the
# sources, how many damages of each part (150, with a sanitizer 15), a seed (by the clock).
set -uo pipefail
source_folder=${2:-${MPMAP_SOURCE:?}}
. "$source_folder/tests/support/data_sets.sh"
damages=${3:-150}
seed=${4:-$((EPOCHSECONDS % 30000))}
if [ $# -lt 3 ] && grep -qE 'lib(a|t)san' <<<"$(ldd "$bin/mpmap")"; then damages=15; fi
plugin=$test_plugins/noting.so:note

drains() { grep -q '^mpmap: draining' err; }
calls() { stat -c %s calls 2>/dev/null || echo 0; }
has_begun() { [ "$(calls)" -ge "$1" ]; }

# scene ROWS CHUNK: an undisturbed output whole.h5, and left.part, of a map that was drained.
scene()
{
    rm -f in.h5 whole.h5 out.h5* calls go_on
    seq 1 "$1" >numbers.txt
    text_set in.h5 /data TEXTFP 32 "$1"
    map=("$bin/mpmap" map "$plugin" in.h5:/data out.h5:/r --chunk "$2" --workers 2 --quiet)
    "${map[@]}" >out 2>err
    check "$1 rows: a map that nobody disturbs" mv out.h5 whole.h5
    rm -f calls
    NOTING_HOLDS=$(($1 / 2)) "${map[@]}" >out 2>err &
    started=$!
    wait_for 60 has_begun $(($1 / 2 + 1))
    kill -USR1 $started
    check "$1 rows: one that drains" wait_for 60 drains
    touch go_on
    wait $started
    check "$1 rows: one that is drained" [ $? = 75 ]
    mv out.h5.part left.part
    python3 "$source_folder/tests/damaged_parts.py" "$seed" "$damages" "${map[@]}" >damaged 2>&1
    check "$1 rows, seed $seed: every damage is found" [ $? = 0 ]
    cat damaged
}

export NOTING_MS=0
scene 200 3
scene 3000 700
report
