#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Maps that follow an input which grows (--follow): by a SWMR writer, and by one that opens the file again and again. Each
# has the same results in the end as a map of the finished file, also one that was killed, or is spread over nodes; until
# then the part shows rows that are done to whoever reads it with SWMR. What ends it: the writer, SIGINT, a mark in the
# file, silence. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
. "$(dirname "$0")/support/mpirun.sh"
. "$(dirname "$0")/support/step_deaths.sh"
needs_h5py
plugin=$test_plugins/noting.so:note
export NOTING_MS=0 OMPI_MCA_btl_base_warn_component_unused=0

status_is() { [ "$status" = "$1" ]; }
says() { grep -qF -- "$1" err; }
has_called() { [ "$(calls)" -ge "$1" ]; }
# write HOW BURSTS ROWS OUTPUT [HOLDS], in the background: its number is in $writer
write() { /usr/bin/python3 "$source_folder/tests/follow_writer.py" in.h5 "$@" >written.txt 2>&1 & writer=$!; }
follow() { timeout 200 "${launcher[@]}" "$bin/mpmap" map "$plugin" in.h5:/d out.h5:/r --workers 2 --follow "$@" >out 2>err; }
# The same in the background: its number is in $map. (A shell has what it starts there ignore SIGINT.)
start() { "${launcher[@]}" "$bin/mpmap" map "$plugin" in.h5:/d out.h5:/r --workers 2 --follow "$@" >out 2>err & map=$!; }
begin() { rm -f in.h5 out.h5* calls written close go_on; launcher=(env --default-signal=INT); }
ends() { wait "$1"; status=$?; }
bytes_of()
{
    h5dump -d /r -b LE -o "results.$1" "$1" >/dev/null && h5dump -d /r.done -b LE -o "marks.$1" "$1" >/dev/null &&
        cat "results.$1" "marks.$1"
}
# is_right [option…]: the output is that of a map of the finished file, and of its rows.
is_right()
{
    rm -f whole.h5
    "$bin/mpmap" map "$plugin" in.h5:/d whole.h5:/r --quiet "$@" >>out 2>&1 && cmp <(bytes_of whole.h5) <(bytes_of out.h5)
}
good_rows() { "$bin/mpmap" status out.h5 2>/dev/null | grep -q ": $1 of $1 rows are good, 0 failed, 0 left"; }
show() { tail -q -n 5 err out written.txt 2>/dev/null; }

# 1. A SWMR writer. The map is there before the file is. It ends when the writer does.
begin
start
write swmr 6 37 out.h5
ends $writer
check "rows are shown as they are done" status_is 0
ends $map
check "a map ends when the writer has closed the file" status_is 0
check "it has waited for the file" says "waiting: file in.h5 does not exist"
check "its results are those of a map" is_right
check "its part is gone" test ! -e out.h5.part
check "it is finished" good_rows 222

# 2. Every third row, over three nodes.
if command -v mpirun >/dev/null; then
    begin
    launcher=(env MPMAP_RANKS_PER_NODE=1 mpirun -n 3)
    write swmr 4 50 none HOLDS
    wait_for 60 test -e written
    start --rows 1::3 --quiet
    wait_for 60 good_rows 67
    touch close
    ends $map
    check "on three nodes, every third row" status_is 0
    wait $writer
    check "they are those of a map" is_right --rows 1::3
fi

# 3. Killed in the middle, twice: the second time with rows that have come while nobody followed.
begin
write swmr 3 40 none HOLDS
wait_for 60 test -e written
for held in 25 75; do
    NOTING_HOLDS=$held start --resume --quiet --chunk 2
    wait_for 60 has_called $((held + 1))
    kill -9 $map
    wait $map 2>/dev/null
done
check "a part of a killed map has rows" grep -qE ": [0-9]+ of 120 rows are good" <("$bin/mpmap" status out.h5)
check "without --resume it stays" eval '! follow --quiet && says "--resume"'
start --resume --quiet
wait_for 60 good_rows 120
touch close
ends $map
check "a map goes on behind kill -9" status_is 0
check "and has run again what was running" [ "$(calls)" -le $((120 + 2 * 4)) ]
check "its results are right" is_right
wait $writer

# 4. A file that is opened for each burst. SIGINT: all that has come is done, and the map ends well.
begin
start --progress off
write append 5 21 out.h5
ends $writer
check "rows of a file that is opened again and again" status_is 0
kill -INT $map
ends $map
check "SIGINT ends a map well that has nothing to do" status_is 0
check "and says how many rows there were" says "105 rows in"
check "its results are those of a map" is_right

# 5. SIGUSR1, as before the end of a batch job: rows may come, so the part stays, and any reader may open it.
begin
write append 2 30 none
wait $writer
start --quiet
wait_for 60 good_rows 60
kill -USR1 $map
ends $map
check "SIGUSR1 leaves the part" status_is 75
check "which any reader can open" grep -q '(60, 8) 60' \
    <(/usr/bin/python3 -c 'import h5py; f = h5py.File("out.h5.part", "r"); print(f["r"].shape, f["r.done"][()].sum())')
/usr/bin/python3 -c 'import h5py, numpy as np
with h5py.File("in.h5", "a") as f:
    f["d"].resize(75, 0)
    f["d"][60:] = 7
    f["over"][()] = 1'
check "the map goes on until a mark in the file" follow --resume --follow-end :/over
check "and has run no row twice" [ "$(calls)" = 75 ]
check "its results are those of a map" is_right

# 6. Silence, and a row that fails.
begin
write append 1 30 none
wait $writer
NOTING_FAILS=41 follow --follow-idle 0.2 --compress gzip --progress json
status=$?
check "a row that fails is told at the end" status_is 1
check "its last word is the end, however soon that was" grep -q '^{"done":30,"total":30,"failed":1,.*"left_s":[0.nul]*}$' \
    <(grep '^{' err | tail -n 1)
check "with its words" says "1 of 30 items failed; the first is item 10: it was told to fail"
check "and is listed" grep -q '^ *(0): 10$' <(h5dump -d /r.failed/row out.h5)
check "the others are good, and compressed" grep -q 'gzip' <("$bin/mpmap" look out.h5)

# 7. Rows that come when all has ended: the output is made anew, and has them, too.
begin
write append 2 30 none
wait $writer
follow --follow-idle 0.2 --quiet
/usr/bin/python3 -c 'import h5py
with h5py.File("in.h5", "a") as f:
    f["d"].resize(75, 0)
    f["d"][60:] = 7'
check "a map goes on with a finished output" follow --follow-idle 0.2 --resume
check "and runs new rows only" [ "$(calls)" = 75 ]
check "its results are those of a map" is_right

# 8. Before each step on the disk of main: a run that dies, then one that goes on.
step_is_survived() # N
{
    rm -f out.h5* calls
    dies_before "$1" follow --follow-idle 0.02 --follow-poll 0.01 --quiet || return 1
    check "main died before step $1, and the map went on" follow --follow-idle 0.02 --follow-poll 0.01 --quiet --resume
    check "its results are those of a map (step $1)" cmp whole.raw <(bytes_of out.h5)
    check "no row was run twice but those in flight (step $1)" [ "$(calls)" -le $((75 + 75)) ]
    check "nothing else is left (step $1)" [ -z "$(ls out.h5.part* 2>/dev/null)" ]
}
bytes_of whole.h5 >whole.raw
if try_steps 1; then
    check "there were steps ($steps)" [ $steps -ge 10 ]
fi

# 9. Files that come later: a virtual data set of them grows, and its own file stays as it is.
add_files() # FIRST END
{
    /usr/bin/python3 -c '
import h5py, numpy as np, os, sys
for n in range(int(sys.argv[1]), int(sys.argv[2])):
    with h5py.File("coming", "w") as f: f["d"] = np.full((20, 4), n + 1, "f4")
    os.rename("coming", f"run{n}.h5")' "$@"
}
begin
/usr/bin/python3 -c '
import h5py
from h5py import h5s
with h5py.File("in.h5", "w") as f:
    space = h5s.create_simple((0, 4), (h5s.UNLIMITED, 4))
    space.select_hyperslab((0, 0), (h5s.UNLIMITED, 1), (20, 4), (20, 4))
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_virtual(space, b"run%b.h5", b"d", h5s.create_simple((20, 4)))
    h5py.h5d.create(f.id, b"d", h5py.h5t.IEEE_F32LE, h5s.create_simple((0, 4), (h5s.UNLIMITED, 4)), made)'
touch -d '1 hour ago' in.h5
add_files 0 1
start --quiet
check "rows of a first file" wait_for 60 good_rows 20
add_files 1 4
check "rows of files that come later" wait_for 60 good_rows 80
kill -INT $map
ends $map
check "a map of them ends when it is told to" status_is 0
check "its results are those of a map" is_right
check "several files are refused, and it is said what would be right" \
    eval '! "$bin/mpmap" map "$plugin" "run*.h5:/d" no.h5:/r --follow >out 2>err && says "follow a virtual data set of them"'

# 10. What does not go together.
for words in "--axis 1" "--tile 2,2" "--join" "--rows :5" "--cost :/d"; do
    refuses()
    {
        # shellcheck disable=SC2086
        ! follow --follow-idle 1 $1 && says "--follow"
    }
    rm -f out.h5
    check "--follow and $words" refuses "$words"
done
check "--follow-idle alone" eval '! "$bin/mpmap" map "$plugin" in.h5:/d no.h5:/r --follow-idle 1 >out 2>err && says "give --follow"'
report
