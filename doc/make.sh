#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Makes the pages of the API from the public headers, and mpmap(1) from what `mpmap --help` prints:
#
#   OUT/html/index.html   for a browser
#   OUT/man/man3          a page a header, mpmap_pool(3), and for each function and type a page that leads there: mpm_pool_map(3)
#   OUT/man/man1          mpmap(1)
#
# Arguments: the folder of the program mpmap, the folder of the sources, OUT. A text that is missing in a header is an error.
set -euo pipefail

bin=$1 source_folder=$2 out=$3
version=$(sed -n 's/^#define MPM_VERSION  *"\(.*\)".*/\1/p' "$source_folder/lib/include/mpmap/version.h")

command -v doxygen >/dev/null || { echo "doxygen is not installed: apt-get install doxygen" >&2; exit 1; }
rm -rf "$out/html" "$out/man" "$out/doxygen"
mkdir -p "$out/man/man1" "$out/man/man3"

{
    cat "$source_folder/doc/Doxyfile"
    echo "PROJECT_NUMBER = $version"
    echo "INPUT = \"$source_folder/lib/include\""
    echo "STRIP_FROM_PATH = \"$source_folder/lib/include\""
    echo "STRIP_FROM_INC_PATH = \"$source_folder/lib/include\""
    echo "OUTPUT_DIRECTORY = \"$out/doxygen\""
} >"$out/Doxyfile"
mkdir -p "$out/doxygen"
doxygen "$out/Doxyfile"
mv "$out/doxygen/html" "$out/html"

# Doxygen names the page of pool.h "pool.h", which is everybody's name. Of the pages that lead to it, those of what begins
# with mpm_ are kept.
for page in "$out"/doxygen/man/man3/*.3; do
    name=$(basename "$page" .3)
    if [[ $name == *.h ]]; then
        sed -E "1,3s|^\.TH \"mpmap/([a-z]+)\.h\"|.TH \"mpmap_\1\"|" "$page" >"$out/man/man3/mpmap_${name%.h}.3"
    elif [[ $name == mpm_* ]]; then
        sed -E 's|^\.so man3/([a-z]+)\.h\.3|.so man3/mpmap_\1.3|' "$page" >"$out/man/man3/$name.3"
    fi
done
mv "$out/man/man3/mpmap_mpmap.3" "$out/man/man3/mpmap.3"
rm -rf "$out/doxygen"

# For roff: what begins a line must not be a request, and backslashes are doubled.
literal() { sed 's/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'; }

{
    printf '.TH MPMAP 1 "" "mpmap %s" "User commands"\n' "$version"
    printf '.SH NAME\nmpmap \\- run a function of a plugin over a data set, on all CPUs of one machine or of many\n'
    printf '.SH SYNOPSIS\n.nf\n'
    for command in "" map look info bench; do
        "$bin/mpmap" $command --help | sed -n 's/^usage: //p' | literal
    done
    printf '.fi\n.SH DESCRIPTION\n'
    for command in "" map look info bench; do
        [ -z "$command" ] || printf '.SS mpmap %s\n' "$command"
        printf '.nf\n'
        "$bin/mpmap" $command --help | sed 1,2d | literal
        printf '.fi\n'
    done
    printf '.SH SEE ALSO\n.BR mpmap (3),\n.BR mpirun (1),\n.BR srun (1)\n'
} >"$out/man/man1/mpmap.1"
