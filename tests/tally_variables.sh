#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap tally of variables of HDF5 files, killed: before each step that main does on the disk, and at random instants, on
# one node and on two virtual ones. It goes on with what was recorded, reads no row of that again, and gives the bytes of a
# run that nobody has disturbed; of all values as CSV, JSON and HDF5, and of each cell along two axes. Arguments: folder of
# mpmap, folder of the sources, how many random kills of each kind (2). Last line: "N passed, N failed".
set -uo pipefail
source_folder=${2:-${MPMAP_SOURCE:?}}
. "$source_folder/tests/support/data_sets.sh"
. "$source_folder/tests/support/mpirun.sh"
. "$source_folder/tests/support/step_deaths.sh"
needs_program mpmap-tally
needs_h5py
kills=${3:-2}
two_nodes=(env MPMAP_RANKS_PER_NODE=1 OMPI_MCA_btl=self,tcp mpirun -n 2)

/usr/bin/python3 - <<'P'
import h5py, numpy
random = numpy.random.default_rng(5)
for name in "grid", "changed":
    with h5py.File(name + ".h5", "w") as file:
        file["t"] = numpy.random.default_rng(5).normal(3, 1, (240, 5, 7)) * 10.0 ** numpy.arange(7)
with h5py.File("changed.h5", "r+") as file: # what was recorded by half, and what was not
    file["t"][:20] += 1
with h5py.File("grid.h5") as file, h5py.File("first.h5", "w") as first, h5py.File("second.h5", "w") as second:
    first["t"], second["t"] = file["t"][:100], file["t"][100:]
P
touch -r grid.h5 changed.h5
cp -p grid.h5 kept.h5

# tally INPUT OUTPUT [OPTION…]: with the words of `launcher` before it, a record every few rows; sets $status.
tally()
{
    local input=$1 output=$2
    shift 2
    timeout 100 "${launcher[@]}" "$bin/mpmap-tally" "$input:/t" --output "$output" --block 2800 --workers 2 "$@" \
        --progress json >out 2>err </dev/null
    status=$?
}
is_done() { [ "$status" = 0 ]; }
# Rows that the run has found done when it began, as its last line of progress says.
earlier() { sed -n 's/.*"earlier":\([0-9]*\).*/\1/p' err | tail -n 1; }
nothing_beside() { [ -z "$(ls "$1".* 2>/dev/null)" ]; }
says() { grep -qF -- "$1" err; }

launcher=(env)
kinds=(all.csv all.json all.h5:/of/all "cells.h5:/of/cells --cells" "cells2.h5:/of/cells --cells --axis 2")
for kind in "${kinds[@]}"; do
    file=${kind%%[: ]*}
    tally grid.h5 $kind
    check "$file is made" is_done
    check "$file has nothing beside it" nothing_beside "$file"
    mv "$file" "whole-$file"
    tally grid.h5 $kind --workers 1
    check "$file has the same bytes with one worker" cmp "$file" "whole-$file"
    rm -f "$file"
done
check "CSV is what is printed" cmp whole-all.csv <("$bin/mpmap-tally" grid.h5:/t --block 2800 --csv --quiet)
tally '[fs][ei]*.h5' all.csv
check "two files are one, in their order" cmp all.csv whole-all.csv
rm -f all.csv

# 1. Before each step of main on the disk.
step_is_survived() # N
{
    rm -f "$file" "$file".*
    dies_before "$1" tally grid.h5 $kind || return 1
    tally grid.h5 $kind --resume
    check "$file goes on after a death before step $1" is_done
    check "with the same bytes (step $1)" cmp "$file" "whole-$file"
    check "and nothing beside it (step $1)" nothing_beside "$file"
}
for kind in "${kinds[@]}"; do
    file=${kind%%[: ]*}
    try_steps 17
done

# 2. At random instants, when so many rows are recorded. Those are changed behind its back: who reads them again sees that.
recorded() { echo $((($(stat -c %s "$file.part" 2>/dev/null || echo 0) - 16) / entry)); }
has_recorded() { [ "$(recorded)" -ge "$1" ] || ! kill -0 $main 2>/dev/null; }
# A run has to be seen before it ends: so it comes behind whoever looks at it, and each try that was too late begins to
# look sooner.
killed_after() # ROWS, at most
{
    local try
    for ((try = 0; try < 20; try++)); do
        rm -f "$file" "$file".*
        MPMAP_TEST_MARK=$mark "${launcher[@]}" nice -n 19 "$bin/mpmap-tally" grid.h5:/t --output $kind --block 280 --quiet \
            >out 2>err &
        main=$!
        wait_for 60 has_recorded $(($1 - ($1 - 20) * try / 20))
        { kill -KILL $(tree $main) && wait $main; } 2>/dev/null
        wait_for 60 no_process_is_left
        [ -e "$file" ] || [ "$(recorded)" -ge 240 ] || return 0
    done
    return 1
}
resumed() # LAUNCHER…
{
    launcher=("$@")
    check "$file: killed after $rows rows" killed_after $rows
    before=$(recorded)
    cp -p changed.h5 grid.h5
    tally grid.h5 $kind --block 280 --resume
    cp -p kept.h5 grid.h5
    check "$file goes on after a kill" is_done
    check "none of the $before rows that were recorded are read again" [ "$(earlier)" = "$before" -a "$before" -ge 20 ]
    check "$file has the same bytes" cmp "$file" "whole-$file"
    check "and nothing beside it" nothing_beside "$file"
}
for kind in "${kinds[@]}"; do
    file=${kind%%[: ]*}
    launcher=(env)
    rm -f "$file" "$file".* "whole-$file"
    tally grid.h5 $kind --block 280
    mv "$file" "whole-$file"
done
for kind in "${kinds[0]}" "${kinds[3]}"; do
    file=${kind%%[: ]*}
    entry=$([ "$file" = all.csv ] && echo 80 || echo $((16 + 35 * 48)))
    for ((kill = 0; kill < kills; kill++)); do
        rows=$((20 + RANDOM % 180))
        resumed env
        ! command -v mpirun >/dev/null || resumed "${two_nodes[@]}"
    done
    launcher=(env)
    rm -f "$file"
    cp -p changed.h5 grid.h5
    tally grid.h5 $kind --block 280
    cp -p kept.h5 grid.h5
    cmp -s "$file" "whole-$file"
    check "$file would show it if they were" [ $? = 1 ]
done

# 3. What goes on with what.
kind=all.csv file=all.csv entry=80
check "a run is killed" killed_after 20
tally grid.h5 all.csv --block 280
check "without --resume the record stays" says "is what an earlier run has left"
tally grid.h5 all.csv --block 560 --resume
check "another cut does not go on with it" says "is of another question, or the files have changed since"
tally grid.h5 all.csv --block 280 --cells --resume
check "cells are data sets" says "cells are written as FILE.h5:/GROUP"
touch grid.h5
tally grid.h5 all.csv --block 280 --resume
check "nor does it with another file" says "the files have changed since"
tally grid.h5 all.csv --block 280 --restart
check "--restart begins with the first row" [ "$(earlier)" = 0 ]
check "to the same bytes" cmp all.csv whole-all.csv
tally grid.h5 all.csv --block 280 --resume
check "what is complete stays so" is_done
tally grid.h5 grid.h5:/u --overwrite
check "the input is never overwritten" says "is an input"

report
