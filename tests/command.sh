#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command mpmap as a user meets it: exit statuses, the exact line that each mistake gives, JSON that a
# parser takes, and a progress line on terminals only. Arguments: folder of mpmap, folder of the sources.
set -uo pipefail

bin=${1:-${MPMAP_BIN:?}}
source_folder=${2:-${MPMAP_SOURCE:?}}
mpmap=$bin/mpmap
[ -x "$mpmap" ] || { echo "there is no program '$mpmap'"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
work=$folder
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"
export TERM=xterm LC_ALL=C.UTF-8

# Runs a command, and keeps $status, $folder/out and $folder/err.
run()
{
    (cd "$folder" && timeout 500 "$@") >"$folder/out" 2>"$folder/err" </dev/null
    status=$?
}

status_is() { [ "$status" -eq "$1" ]; }
out_is() { [ "$(cat "$folder/out")" = "$1" ]; }
err_is() { [ "$(cat "$folder/err")" = "$1" ]; }
out_has() { grep -qF -- "$1" "$folder/out"; }
err_has() { grep -qF -- "$1" "$folder/err"; }
err_is_empty() { [ ! -s "$folder/err" ]; }
# A machine that is busy may take longer than that for it: its last line says how long it took.
has_no_line_before_ten_seconds()
{
    grep -qE ' rows in [0-9]{2,}\.' "$folder/err" || err_has_one_line
}

err_has_one_line() { [ "$(wc -l <"$folder/err")" -eq 1 ]; }
out_is_json() { python3 -m json.tool "$folder/out" >/dev/null 2>&1; }
is_absent() { [ ! -e "$folder/$1" ]; }

# refuses STATUS LINE ARGUMENT…: mpmap exits so, says exactly that line, and prints and makes nothing.
refuses()
{
    local wanted=$1 line=$2
    shift 2
    run "$mpmap" "$@"
    check "status $wanted of: mpmap $*" status_is "$wanted"
    check "error line of: mpmap $* (wanted: $line)" err_is "$line"
    check "no output of: mpmap $*" out_is ""
    check "no file of: mpmap $*" is_absent out.h5
}

# Python's view of the JSON in $folder/out: json_is EXPRESSION, with the document as `j`.
json_is() { python3 -c "import json, os, sys; j = json.load(open(sys.argv[1])); sys.exit(not ($1))" "$folder/out" 2>/dev/null; }

make_inputs()
{
    cat >"$folder/rows.c" <<'C'
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void make(hid_t file, const char *name, hid_t type, int rank, const hsize_t *extents)
{
    static float numbers[100 * 4];
    hid_t space = H5Screate_simple(rank, extents, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    for (int i = 0; i < 400; i++)
        numbers[i] = (float)i;
    if (rank == 2 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) < 0)
        exit(1);
    H5Dclose(set);
    H5Sclose(space);
}

/* Rising, so that the last row is the longest; that of row `odd`, if there is one, is no good. */
static void make_costs(hid_t file, const char *name, hsize_t count, int odd)
{
    hid_t space = H5Screate_simple(1, &count, NULL);
    hid_t set = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    float costs[100];

    for (int i = 0; i < 100; i++)
        costs[i] = i != odd ? (float)i : odd == 7 ? NAN : -0.5f;
    if (H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, costs) < 0)
        exit(1);
    H5Dclose(set);
    H5Sclose(space);
}

static size_t pass(unsigned flags, size_t count, const unsigned *parameters, size_t size, size_t *room, void **buffer)
{
    (void)flags, (void)count, (void)parameters, (void)room, (void)buffer;
    return size;
}

/* One row, through a filter that only libfilter.so has. */
static void make_filtered(hid_t file)
{
    static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, 300, 1, 1, "of this test", NULL, NULL, pass};
    hsize_t extents[] = {1, 4};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, extents, NULL), set;

    H5Zregister(&class);
    H5Pset_chunk(creation, 2, extents);
    H5Pset_filter(creation, 300, H5Z_FLAG_MANDATORY, 0, NULL);
    set = H5Dcreate2(file, "/filtered", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, (float[]){5, 6, 7, 8}) < 0)
        exit(1);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(creation);
}

int main(int argc, char **argv)
{
    hid_t file = argc == 2 ? H5Fcreate(argv[1], H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT)
                           : H5Fopen(argv[1], H5F_ACC_RDONLY, H5P_DEFAULT);
    double values[1000];

    if (file < 0)
        return 1;
    if (argc == 2) {
        make(file, "/data", H5T_IEEE_F32LE, 2, (hsize_t[]){100, 4});
        make(file, "/double", H5T_IEEE_F64LE, 2, (hsize_t[]){100, 4});
        make(file, "/tiles", H5T_STD_U8LE, 4, (hsize_t[]){3, 64, 64, 3});
        make_costs(file, "/costs", 100, 100);
        make_costs(file, "/few", 99, 99);
        make_costs(file, "/below", 100, 41);
        make_costs(file, "/nan", 100, 7);
        make(file, "/small", H5T_STD_U8LE, 4, (hsize_t[]){3, 32, 32, 3});
        make_filtered(file);
    } else {
        hid_t set = H5Dopen2(file, argv[2], H5P_DEFAULT), space = H5Dget_space(set);
        hssize_t count = H5Sget_simple_extent_npoints(space);

        if (count > 1000 || H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
            return 1;
        for (hssize_t i = 0; i < count; i++)
            printf("%g\n", values[i]);
        H5Sclose(space);
        H5Dclose(set);
    }
    return H5Fclose(file) < 0;
}
C
    # Like some that are about, it is not linked with HDF5.
    cat >"$folder/filter.c" <<'C'
#include <H5PLextern.h>

static size_t pass(unsigned flags, size_t count, const unsigned *parameters, size_t size, size_t *room, void **buffer)
{
    (void)flags, (void)count, (void)parameters, (void)room, (void)buffer;
    return H5open() < 0 ? 0 : size;
}

static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, 300, 1, 1, "of this test", NULL, NULL, pass};

H5PL_type_t H5PLget_plugin_type(void)
{
    return H5PL_TYPE_FILTER;
}

const void *H5PLget_plugin_info(void)
{
    return &class;
}
C
    cat >"$folder/tasks.c" <<'C'
#include <mpmap.h>
#include <signal.h>
#include <time.h>

const mpm_task_description first_description = {.result = "f32", .row = "f32[4]", .help = "first number"};
int first(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(float *)result = *(const float *)item;
    return 0;
}

int undescribed(mpm_call *call, const void *item, void *result)
{
    return first(call, item, result);
}

const mpm_task_description misdescribed_description = {.result = "f63"};
int misdescribed(mpm_call *call, const void *item, void *result)
{
    return first(call, item, result);
}

const mpm_task_description picky_description = {.result = "f32"};
int picky(mpm_call *call, const void *item, void *result)
{
    if (mpm_call_index(call) % 50 == 3)
        return mpm_fail(call, "row %zu tastes bad", mpm_call_index(call));
    return first(call, item, result);
}

const mpm_task_description crashing_description = {.result = "f32"};
int crashing(mpm_call *call, const void *item, void *result)
{
    if (mpm_call_index(call) == 5)
        raise(SIGKILL);
    return first(call, item, result);
}

/* How many rows this worker has begun before. */
const mpm_task_description place_description = {.result = "f32"};
int place(mpm_call *call, const void *item, void *result)
{
    static float begun;

    (void)call, (void)item;
    *(float *)result = begun++;
    return 0;
}

/* Works for 40 ms of CPU time. */
const mpm_task_description slow_description = {.result = "f32"};
int slow(mpm_call *call, const void *item, void *result)
{
    clock_t end = clock() + CLOCKS_PER_SEC / 25;

    while (clock() < end)
        ;
    return first(call, item, result);
}
C
    # shellcheck disable=SC2046 # pkg-config prints words
    cc -o "$folder/rows" "$folder/rows.c" $(pkg-config --cflags --libs hdf5-serial) &&
        mkdir "$folder/filters" &&
        cc -shared -fPIC -o "$folder/filters/libfilter.so" "$folder/filter.c" $(pkg-config --cflags hdf5-serial) &&
        cc -shared -fPIC -I "$source_folder/lib/include" -o "$folder/tasks.so" "$folder/tasks.c" &&
        "$folder/rows" "$folder/in.h5" && echo "no shared object" >"$folder/text.so" &&
        echo "no HDF5" >"$folder/text.h5"
}

# The values that `first` finds in /data: 0, 4, 8 …
first_values() { seq 0 4 396; }
rows_are() { "$folder/rows" "$folder/$1" "$2" 2>/dev/null | diff - <("$3") >/dev/null; }

: >"$folder/out"
: >"$folder/err"
check "inputs can be made" make_inputs

# Help and version.
version=$(sed -n 's/^#define MPM_VERSION  *"\([^"]*\)".*/\1/p' "$source_folder/lib/include/mpmap/version.h")
run "$mpmap" --version
check "--version succeeds" status_is 0
check "--version prints the version" out_is "mpmap $version"
check "--version says nothing else" err_is_empty
for arguments in "" map reduce look info bench "bench map" "bench schedule" "bench step" "bench metg" "bench wire" "bench simulate" "bench value" "bench queue" "bench latency" "bench sync" "bench process" "bench apply" "bench imap" "bench blobs" "bench reduce" "bench all"; do
    # shellcheck disable=SC2086 # words
    run "$mpmap" $arguments --help
    check "mpmap $arguments --help succeeds" status_is 0
    check "mpmap $arguments --help shows its usage" out_has "usage: mpmap ${arguments:-COMMAND}"
    check "mpmap $arguments --help says nothing else" err_is_empty
done

# Called wrongly: status 2, one line, which says what would be right.
refuses 2 "mpmap: a command is missing: map, reduce, status, look, info or bench; try mpmap --help"
refuses 2 "mpmap: unknown command 'mpa' (did you mean 'map'?); try mpmap --help" mpa
refuses 2 "mpmap: unknown command 'frobnicate'; try mpmap --help" frobnicate

# A program mpmap-NAME on the PATH is a command, with its arguments and its exit status; it takes no command's place.
mkdir "$folder/path"
printf '#!/bin/sh\necho "$0 $*"\nexit 3\n' | tee "$folder/path/mpmap-weave" >"$folder/path/mpmap-info"
chmod +x "$folder"/path/mpmap-*
PATH=$folder/path:$PATH run "$mpmap" weave --loom 'two words'
check "mpmap NAME has the exit status of mpmap-NAME" status_is 3
check "mpmap NAME hands the arguments on" out_is "$folder/path/mpmap-weave --loom two words"
PATH=$folder/path:$PATH run "$mpmap" info
check "mpmap info is mpmap's own" status_is 0
refuses 2 "mpmap: unknown command '../path/weave'; try mpmap --help" ../path/weave
refuses 2 "mpmap: unknown option '--verison' (did you mean '--version'?); try mpmap --help" --verison
refuses 2 "mpmap: unknown option '--worker' (did you mean '--workers'?); try mpmap map --help" map --worker 2
refuses 2 "mpmap: 'extra' is an extra argument; try mpmap info --help" info extra
refuses 2 "mpmap: argument 1 is empty, as a variable that is not set leaves it; try mpmap status --help" status ""
refuses 2 "mpmap: argument 2 is empty, as a variable that is not set leaves it; try mpmap look --help" look in.h5 ""
refuses 2 "mpmap: --json takes no value; try mpmap info --help" info --json=yes
refuses 2 "mpmap: 1 of 3 arguments are given: PLUGIN.so:FUNCTION IN.h5:/DATA OUT.h5:/RESULT; try mpmap map --help" \
    map tasks.so:first
refuses 2 "mpmap: 'tasks.so' must be PLUGIN.so:FUNCTION; try mpmap map --help" map tasks.so in.h5:/data out.h5:/r
refuses 2 "mpmap: 'in.h5' must be FILE.h5:/DATASET; try mpmap map --help" map tasks.so:first in.h5 out.h5:/r
refuses 2 "mpmap: 'out.h5:' must be FILE.h5:/DATASET; try mpmap map --help" map tasks.so:first in.h5:/data out.h5:
words=(map tasks.so:first in.h5:/data out.h5:/r)
for count in 0 -1 two 2x "" 65537; do
    refuses 2 "mpmap: --workers is '$count', but must be a whole number from 1 to 65536; try mpmap map --help" \
        "${words[@]}" --workers "$count"
done
refuses 2 "mpmap: --workers needs a value; try mpmap map --help" "${words[@]}" --workers
for word in 0 -1 nan 1e10 often 3s ''; do
    refuses 2 "mpmap: --progress is '$word': it must be a number of seconds above 0, json or off; try mpmap map --help" \
        "${words[@]}" "--progress=$word"
done
refuses 2 "mpmap: 'tasks.so' has no undescribed_description, so give its result's shape: --result f64, for example; try mpmap map --help" \
    map tasks.so:undescribed in.h5:/data out.h5:/r
refuses 2 "mpmap: unknown benchmark 'mpa' (did you mean 'map'?); try mpmap bench --help" bench mpa
refuses 2 "mpmap: a benchmark is missing: map, schedule, step, metg, wire, simulate, value, queue, latency, sync, process, apply, imap, blobs, reduce or all; try mpmap bench --help" bench
refuses 2 "mpmap: --seconds is '0', but must be a number of seconds above 0 and at most 60; try mpmap bench map --help" \
    bench map --seconds 0

refuses 2 "mpmap: 'costs' must be FILE.h5:/DATASET, or :/DATASET of the input's file; try mpmap map --help" \
    "${words[@]}" --cost costs
refuses 2 "mpmap: ':' must be FILE.h5:/DATASET, or :/DATASET of the input's file; try mpmap map --help" \
    "${words[@]}" --cost :

run "$mpmap" "${words[@]}" --result 'f63[2]'
check "a bad shape is a usage error" status_is 2
check "a bad shape is named" err_has "f63"
check "a bad shape gives one line" err_has_one_line
check "a bad shape makes no file" is_absent out.h5

# What else is wrong: status 1, one line.
refuses 1 "mpmap: plugin file 'none.so' does not exist" map none.so:first in.h5:/data out.h5:/r
refuses 1 "mpmap: './text.so' cannot be opened as a plugin: file too short" \
    map ./text.so:first in.h5:/data out.h5:/r
# Plugins that would take the process along that opens them.
cat >"$folder/odd.c" <<'C'
#include <mpmap.h>
#include <signal.h>
#include <unistd.h>

#ifdef AT_LOAD
__attribute__((constructor)) static void at_load(void)
{
    AT_LOAD;
}
#endif
static int nothing(mpm_call *call, const void *item, void *result)
{
    (void)call, (void)item, (void)result;
    return 0;
}
int fine(mpm_call *call, const void *item, void *result) { return nothing(call, item, result); }
const mpm_task_description fine_description = {.result = "f32"};
int small(mpm_call *call, const void *item, void *result) { return nothing(call, item, result); }
const char small_description[3] = "ab";
int wild(mpm_call *call, const void *item, void *result) { return nothing(call, item, result); }
const mpm_task_description wild_description = {.result = (const char *)8};
int none(mpm_call *call, const void *item, void *result) { return nothing(call, item, result); }
const mpm_task_description none_description = {.help = "no result"};
const int number = 5;
const mpm_task_description number_description = {.result = "f32"};
C
odd_plugin() { cc -w -shared -fPIC -I "$source_folder/lib/include" -o "$folder/$1.so" "$folder/odd.c" "${@:2}"; }
check "odd plugins can be made" eval 'odd_plugin odd && odd_plugin exits "-DAT_LOAD=_exit(0)" &&
    odd_plugin crashes "-DAT_LOAD=raise(SIGILL)" && head -c 9000 "$folder/odd.so" >"$folder/cut.so" && mkfifo "$folder/fifo.so"'
refuses 1 "mpmap: './exits.so' cannot be used: it ended its process with status 0 while it was loaded" \
    map exits.so:fine in.h5:/data out.h5:/r
refuses 1 "mpmap: './crashes.so' cannot be used: it crashed by SIGILL while it was loaded" \
    map crashes.so:fine in.h5:/data out.h5:/r
run "$mpmap" map cut.so:fine in.h5:/data out.h5:/r
check "a plugin that is cut short is refused" status_is 1
check "a plugin that is cut short gives one line" err_has_one_line
check "a plugin that is cut short is named" err_has "mpmap: './cut.so' cannot be "
refuses 1 "mpmap: './fifo.so' is not a regular file, so not a plugin" map fifo.so:fine in.h5:/data out.h5:/r
refuses 1 "mpmap: fifo.so is not a regular file, so not the output of a map" status fifo.so
refuses 1 "mpmap: 'number' of './odd.so' is a variable: a task must be a function" map odd.so:number in.h5:/data out.h5:/r
refuses 1 "mpmap: './odd.so' cannot be used: it crashed by SIGSEGV while the task's description was read" \
    map odd.so:wild in.h5:/data out.h5:/r
refuses 1 "mpmap: small_description of './odd.so' is not an mpm_task_description of this mpmap: it has 3 bytes, but should have 48" \
    map odd.so:small in.h5:/data out.h5:/r
refuses 1 "mpmap: none_description of 'odd.so' has no result" map odd.so:none in.h5:/data out.h5:/r
refuses 1 "mpmap: './odd.so' has no function 'nothing'; it has: fine, none, small, wild" \
    map odd.so:nothing in.h5:/data out.h5:/r

refuses 1 "mpmap: './tasks.so' has no function 'frist'; it has: crashing, first, misdescribed, picky, place, slow" \
    map tasks.so:frist in.h5:/data out.h5:/r
refuses 1 "mpmap: first takes rows of f32[4], but those of 'in.h5:/double' are f64[4]" \
    map tasks.so:first in.h5:/double out.h5:/r
refuses 1 "mpmap: paint takes rows of u8[64,64,3], but those of 'in.h5:/small' are u8[32,32,3]" \
    map "${MPMAP_PLUGINS:-$bin/../plugins}/paint.so:paint" in.h5:/small out.h5:/r
refuses 1 "mpmap: in.h5:/filtered needs the filter of this test (300), which this HDF5 lacks: install its plugin (the Python package hdf5plugin brings many), or name its folder in HDF5_PLUGIN_PATH" \
    map tasks.so:first in.h5:/filtered out.h5:/r
refuses 1 "mpmap: 'in.h5:/few' has 99 costs, but 'in.h5:/data' has 100 rows: there must be one cost for each row" \
    "${words[@]}" --cost :/few
refuses 1 "mpmap: in.h5:/below has a bad cost: row 41 costs -0.5: a cost must be a number that is not negative" \
    "${words[@]}" --cost in.h5:/below
refuses 1 "mpmap: in.h5:/nan has a bad cost: row 7 costs nan: a cost must be a number that is not negative" \
    "${words[@]}" --cost :/nan
refuses 1 "mpmap: in.h5:/data has rows of f32[4]: costs must be one number for each row" "${words[@]}" --cost :/data
refuses 1 "mpmap: file none.h5 does not exist" "${words[@]}" --cost none.h5:/costs
for case in "map tasks.so:misdescribed in.h5:/data out.h5:/r=f63" "map tasks.so:printf in.h5:/data out.h5:/r=printf" \
    "map tasks.so:first none.h5:/data out.h5:/r=none.h5" "map tasks.so:first text.h5:/data out.h5:/r=text.h5" \
    "map tasks.so:first in.h5:/none out.h5:/r=/none" "map tasks.so:first in.h5:/data none/out.h5:/r=none/out.h5"; do
    # shellcheck disable=SC2086 # words
    run "$mpmap" ${case%=*}
    check "status 1 of: mpmap ${case%=*}" status_is 1
    check "one line of: mpmap ${case%=*}" err_has_one_line
    check "name of the culprit of: mpmap ${case%=*}" err_has "${case##*=}"
    check "no file of: mpmap ${case%=*}" is_absent out.h5
done
run bash -c "'$mpmap' info >/dev/full"
check "a full standard output is status 1" status_is 1
check "a full standard output is told" err_is "mpmap: cannot write to standard output: No space left on device"

# Maps.
run "$mpmap" "${words[@]}"
check "a map succeeds" status_is 0
check "a map prints nothing to stdout" out_is ""
check "a map ends with a summary" grep -qE '^mpmap: 100 rows in [0-9.]+ s, [0-9.e+]+ rows/s, [0-9]+ workers? on 1 node$' "$folder/err"
check "the summary is all" err_has_one_line
check "results are right" rows_are out.h5 /r first_values
run "$mpmap" "${words[@]}"
check "an existing output is refused" status_is 1
check "an existing output is named" err_has out.h5
check "an existing output is kept" rows_are out.h5 /r first_values
run "$mpmap" map tasks.so:first in.h5:/data out.h5:/other --overwrite
check "what holds other results is not overwritten" err_is "mpmap: out.h5 also holds /r, which would be lost: choose another name, or overwrite the whole file (--overwrite-file, MPM_OVERWRITE_FILE)"
check "and is kept" rows_are out.h5 /r first_values
run "$mpmap" map ./tasks.so:undescribed in.h5:/data out.h5:/deep/er --result f32 --overwrite-file --quiet --workers 3 \
    --chunk=7 --block-rows=5
check "a map with all options succeeds" status_is 0
check "--quiet is quiet" err_is_empty
check "results are right with all options" rows_are out.h5 /deep/er first_values
HDF5_PLUGIN_PATH=$folder/filters run "$mpmap" map tasks.so:first in.h5:/filtered filtered.h5:/r
check "a filter is found where HDF5_PLUGIN_PATH says" status_is 0
check "and used" test "$("$folder/rows" "$folder/filtered.h5" /r)" = 5
run "$mpmap" map tasks.so:slow in.h5:/data out.h5:/r --overwrite-file
check "a slow map succeeds" status_is 0
check "a map writes no progress line to a pipe in its first ten seconds" has_no_line_before_ten_seconds
run "$mpmap" map tasks.so:slow in.h5:/data out.h5:/r --overwrite --progress 0.05
check "plain lines come as often as asked" grep -qE '^mpmap: +[0-9]+%  [0-9]+/100  [0-9.]+/s  [0-9]+ s left  [0-9]+% busy$' "$folder/err"
run "$mpmap" map tasks.so:slow in.h5:/data out.h5:/r --overwrite --progress json
check "the last JSON line says that all is done" bash -c \
    "grep '^{' '$folder/err' | tail -n 1 | python3 -c 'import json, sys; j = json.load(sys.stdin); sys.exit(j[\"done\"] != 100 or j[\"left_s\"] != 0)'"
run "$mpmap" map tasks.so:slow in.h5:/data out.h5:/r --overwrite --progress off
check "no progress lines when they are off" err_has_one_line

run "$mpmap" map tasks.so:picky in.h5:/data out.h5:/r --overwrite
check "failed rows are status 1" status_is 1
check "failed rows are told" err_has "row 3 tastes bad"
check "each of them on a line" err_has "row 53: row 53 tastes bad"
check "with a word on where they are listed" err_has "all 2 in out.h5:/r.failed"
picky_values() { first_values | sed '4s/.*/0/; 54s/.*/0/'; }
check "the other rows are there" rows_are out.h5 /r picky_values
picky_done() { yes 1 | head -n 100 | sed '4s/.*/2/; 54s/.*/2/'; }
check "failed rows are marked" rows_are out.h5 /r.done picky_done
run "$mpmap" map tasks.so:picky in.h5:/data few.h5:/r --max-failures 1
check "too many failed rows are status 1" status_is 1
check "too many failed rows are told, and where the good ones are" err_is "mpmap: 2 of 100 items have failed, and 1 may; the first is item 3: row 3 tastes bad; 98 of 100 rows are good: they are in $(cd "$folder" && pwd -P)/few.h5.part"
check "too many failed rows make no output" is_absent few.h5
run "$mpmap" map tasks.so:picky in.h5:/data few.h5:/r --max-failures 2 --restart
check "failed rows that are not too many make one" rows_are few.h5 /r picky_values
run "$mpmap" map tasks.so:crashing in.h5:/data out.h5:/r --overwrite
check "a row that kills its worker is status 1" status_is 1
check "what killed it is told" err_has "SIGKILL"
crashing_values() { first_values | sed '6s/.*/0/'; }
check "the rows around a crash are there" rows_are out.h5 /r crashing_values

# Costs: those of one file are rising.
run "$mpmap" map tasks.so:place in.h5:/data placed.h5:/r --workers 1 --cost :/costs
check "a map with costs succeeds" status_is 0
falling_places() { seq 99 -1 0; }
check "the longest rows are begun first" rows_are placed.h5 /r falling_places
cp "$folder/in.h5" "$folder/costs.h5"
run "$mpmap" map tasks.so:first in.h5:/data costly.h5:/r --cost costs.h5:/costs
check "a map with the costs of another file is right" rows_are costly.h5 /r first_values

# A terminal.
on_terminal() { run script -qec "stty cols 70; '$mpmap' map tasks.so:slow in.h5:/data out.h5:/r --overwrite $*" /dev/null; }
on_terminal
check "a map on a terminal succeeds" status_is 0
check "it shows a progress line" grep -qE $'\r\[#+-+\] +[0-9]+%  [0-9]+/100  [0-9.]+/s  [0-9]+ s left  [0-9]+% busy\033\[K' "$folder/out"
check "the line is erased before the summary" grep -qF $'\r\033[Kmpmap: 100 rows in' "$folder/out"
check "no line is wider than the terminal" python3 -c '
import re, sys
lines = re.split(r"\r|\n", re.sub(r"\x1b\[K", "", open(sys.argv[1], newline="").read()))
sys.exit(max(map(len, lines)) >= 70)' "$folder/out"
on_terminal --quiet
check "a quiet map on a terminal succeeds" status_is 0
check "a quiet map on a terminal is quiet" out_is ""

# JSON.
run "$mpmap" info --json
check "info --json succeeds" status_is 0
check "info --json is JSON" out_is_json
check "info --json tells the run" json_is \
    "j['version'] == '$version' and j['ranks'] == 1 and len(j['nodes']) == 1 and j['slots'] == len(os.sched_getaffinity(0)) and j['nodes'][0]['arena_bytes'] > 0"
run "$mpmap" info
check "info succeeds" status_is 0
check "info tells the run" out_has "1 node, 1 rank"

# figures_are COUNT NAME ARGUMENT…: `mpmap bench NAME … --json` gives so many figures, and its limits belong to them.
figures_are()
{
    local count=$1
    shift
    run "$mpmap" bench "$@" --json
    check "bench $1 --json succeeds" status_is 0
    check "bench $1 --json is $count figures" json_is \
        "len(j) == $count and all(set(f) == {'name', 'value', 'unit', 'limit', 'limit_name', 'ratio'} and f['name'] and f['value'] >= 0 for f in j)"
    check "bench $1 --json has times in seconds" json_is "all(f['unit'] not in ('ms', 'us', 'ns') for f in j)"
    check "bench $1 --json has ratios where it has limits" json_is \
        "all(f['ratio'] is None and f['limit_name'] is None if f['limit'] is None else f['limit'] > 0 and f['limit_name'] and abs(f['ratio'] * f['limit'] - f['value']) <= 0.01 * f['value'] for f in j)"
}
for bench in map=9 metg=4 value=3 queue=5 latency=62 sync=14 process=3 apply=3 imap=1 blobs=1 reduce=3; do
    figures_are "${bench#*=}" "${bench%=*}" --seconds 0.01
done
figures_are 10 schedule --simulate --seconds 0.1
figures_are 10 simulate --nodes 10 --slots 4

# Under a launcher everything is said once.
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
figures_are 68 step --seconds 0.001
figures_are 16 step --two-nodes --seconds 0.001
run "$mpmap" bench step --two-nodes --launcher no-such-launcher
check "steps over two nodes that nobody can start are status 1" status_is 1
check "it is told that they are left out" err_has 'mpmap: no steps come from two ranks by "no-such-launcher": skipping those over two nodes'
figures_are 27 wire --seconds 0.001 # no line has so many rounds that more than its median is told
for launcher in true no-such-launcher; do
    run "$mpmap" bench wire --launcher $launcher
    check "figures that '$launcher' does not bring are status 1" status_is 1
    check "it is told that '$launcher' brings none" err_has "mpmap: no figures come from two ranks by \"$launcher\""
done
run mpirun -n 2 "$mpmap" --version
check "two ranks print one version" out_is "mpmap $version"
for bench in step wire; do
    run mpirun -n 2 "$mpmap" bench $bench --json
    check "two ranks start no further ones for bench $bench" json_is "j == []"
    check "two ranks tell that bench $bench is skipped" test "$(grep -c "bench $bench starts its own ranks, and is skipped under a launcher" "$folder/err")" -eq 1
done
run mpirun -n 2 "$mpmap" mpa
check "two ranks exit with the status of a usage error" status_is 2
check "two ranks tell one error" test "$(grep -c "unknown command 'mpa'" "$folder/err")" -eq 1
MPMAP_RANKS_PER_NODE=2 run mpirun -n 4 "$mpmap" info --json
check "four ranks make two nodes of two" json_is "j['ranks'] == 4 and [n['ranks'] for n in j['nodes']] == [2, 2]"
for ranks_per_node in 1 2; do
    MPMAP_RANKS_PER_NODE=$ranks_per_node run mpirun -n 2 "$mpmap" "${words[@]}" --overwrite
    check "a map by two ranks succeeds" status_is 0
    check "a map by two ranks tells $((2 / ranks_per_node)) nodes" err_has "on $((2 / ranks_per_node)) node"
    check "a map by two ranks is right" rows_are out.h5 /r first_values
done

report
