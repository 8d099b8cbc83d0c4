# SPDX-License-Identifier: BSD-3-Clause
# What scripts that map small data sets have in common: the programs, a folder of their own, and data sets made of text.
# A script sources this with its own arguments, folder of mpmap first, and ends with `report` (processes.sh). What a
# program has printed goes to out and err in the folder: a check that fails shows both.
bin=$(realpath "${1:-${MPMAP_BIN:?says where the programs are}}")
source_folder=${2:-${MPMAP_SOURCE:?says where the sources are}}
plugins=${MPMAP_PLUGINS:-$bin/../plugins}
test_plugins=$(dirname "$bin")/tests/plugins
. "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# needs_program NAME: of those that are left out where their library is missing.
needs_program()
{
    [ -x "$bin/$1" ] || { echo "skipped, because $1 was not built"; exit 0; }
}

# For scripts whose files are made by h5py, of the system's Python.
needs_h5py()
{
    /usr/bin/python3 -c 'import h5py' 2>/dev/null || { echo "skipped, because python3 has no h5py"; exit 0; }
}

# text_set FILE DATASET CLASS SIZE EXTENTS: a data set of the numbers in numbers.txt.
text_set()
{
    local rank
    rank=$(wc -w <<<"$5")
    printf 'PATH %s\nINPUT-CLASS %s\nINPUT-SIZE %s\nRANK %s\nDIMENSION-SIZES %s\n' "$2" "$3" "$4" "$rank" "$5" \
        >set.conf
    h5import numbers.txt -c set.conf -o "$1" >/dev/null || exit 1
}

# values FILE DATASET: all of it, with commas between.
values()
{
    h5dump -y -o dumped.txt -d "$2" "$1" >/dev/null && tr -d ' \n' <dumped.txt
}

# make_plugin NAME: NAME.so of NAME.c, which may include noted.h.
make_plugin()
{
    cc -O1 -Werror=implicit-function-declaration -shared -fPIC -Wl,-Bsymbolic -I "$source_folder/lib/include" \
        -I "$source_folder/tests/support" -o "$1.so" "$1.c" || exit 1
}

# Calls that a plugin has noted (noted.h), each with so many bytes.
call_size=1
calls() { echo $(($(stat -c %s calls 2>/dev/null || echo 0) / call_size)); }
has_calls() { [ "$(calls)" -gt "$1" ]; }

# hold_at CALLS COMMAND…: starts it, and comes back when there are more calls than that, which wait. Sets $held.
hold_at()
{
    local most=$1
    shift
    rm -f calls go_on
    HOLDS=$most MPMAP_TEST_MARK=$mark "$@" >out 2>err </dev/null &
    held=$!
    wait_for 60 has_calls "$most"
}

# killed_at CALLS COMMAND…: then all of it is killed.
killed_at()
{
    hold_at "$@"
    { kill -KILL $(tree $held) && wait $held; } 2>/dev/null
    wait_for 60 no_process_is_left
}

# drained_at CALLS COMMAND…: then it is drained, and goes on. Sets $status.
drained_at()
{
    hold_at "$@"
    kill -TERM $held
    touch go_on
    wait $held
    status=$?
}

# joined RUNS OUT.h5 COMMAND…: so many runs that join, all of which are there before one of them ends. What they say goes to
# err.
joined()
{
    local runs=$1 output=$2 run started=()
    shift 2
    rm -f calls go_on
    for ((run = 0; run < runs; run++)); do
        HOLDS=20 "$@" --join >/dev/null 2>"err.$run" </dev/null &
        started+=($!)
    done
    check "$runs runs join" wait_for 60 has_runs "$runs" "$output"
    touch go_on
    wait "${started[@]}"
    cat err.[0-9]* >err
    rm -f err.[0-9]*
}
has_runs() { [ "$("$bin/mpmap" status "$2" 2>/dev/null | grep -cE '^  [^ ]*, pid ')" = "$1" ]; }
