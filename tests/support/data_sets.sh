# SPDX-License-Identifier: BSD-3-Clause
# What scripts that map small data sets have in common: the programs, a folder of their own, and data sets made of text.
# A script sources this with its own arguments, folder of mpmap first, and ends with `report` (processes.sh). What a
# program has printed goes to out and err in the folder: a check that fails shows both.
bin=${1:-${MPMAP_BIN:?says where the programs are}}
plugins=${MPMAP_PLUGINS:-$bin/../plugins}
test_plugins=$(dirname "$bin")/tests/plugins
. "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

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
