#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A document is true: README.md, or one of doc/. What its blocks are, their first line says:
#
#   ```LANGUAGE FILE      a file: it is written as FILE; C must compile without a warning. Where apps/examples/ or
#                         apps/plugins/ has a file of that name, it is the same but for the comment at its head
#                         (C), or part of that comment (Python)
#   ```sh test            commands, run in a scratch folder, in the order of the document; one block's variables are
#                         there in the next
#   ```text               what the commands just above print, to the letter
#   ```text figures       the same, but numbers may be others, and plurals with them
#   ```text any order     the same, but the lines may come in another order
#   ```text example       what other commands have printed: it is not looked at
#
# A document that begins with "<!-- needs NAME… -->" is skipped where one of these programs is missing: what is built only
# where its library is, and tools. h5py is that of Debian's python3.
#
# Other blocks are not run; of those, what they name must exist. The scratch folder looks like the folder of the
# sources, with this build as build/release, and is a home of its own, in which mpmap is installed, unless the document
# does that itself. Arguments: the folder of the programs, that of the sources, the document. Last line: "N passed, N
# failed".
set -uo pipefail

bin=$(realpath "${1:-${MPMAP_BIN:?says where the programs are}}")
source_folder=$(realpath "${2:-${MPMAP_SOURCE:?says where the sources are}}")
document=$(realpath "${3:-$source_folder/README.md}")
build=$(dirname "$bin")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
said=$work/said
. "$(dirname "${BASH_SOURCE[0]}")/support/check.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
export LC_ALL=C.UTF-8
unset PYTHONUNBUFFERED # with it lines of several processes are not whole

# Cuts the document into blocks/NNN, each with its line number and info string in blocks/NNN.info.
cut_blocks()
{
    mkdir "$work/blocks"
    awk -v folder="$work/blocks" '
        /^```/ && inside { inside = 0; close(name); next }
        /^```/ {
            inside = 1
            name = sprintf("%s/%03d", folder, ++count)
            printf "%d %s\n", NR, substr($0, 4) > (name ".info")
            close(name ".info")
            printf "" > name
            next
        }
        inside { print > name }
        END { exit inside }' "$document"
}

# A folder that looks like the one that documents speak of.
make_scratch()
{
    mkdir -p "$work/home" "$work/here/build" "$work/wrap"
    ln -s "$build" "$work/here/build/release"
    ln -s "$source_folder/apps" "$source_folder/slurm" "$source_folder/lib" "$work/here"
    # A program that is linked with a library under AddressSanitizer must have it too, whatever compiles it: mpicc of
    # Open MPI and of MPICH asks these variables.
    if grep -q libasan <<<"$(ldd "$bin/mpmap")"; then
        printf '#!/bin/sh\nexec %s -fsanitize=address,undefined "$@"\n' "$(command -v cc)" >"$work/wrap/cc"
        chmod +x "$work/wrap/cc"
        export OMPI_CC=$work/wrap/cc MPICH_CC=$work/wrap/cc
    fi
    grep -q '^cmake --install' "$document" || cmake --install "$build" --prefix "$work/home/.local" >/dev/null
    (
        export HOME=$work/home PATH=$work/home/.local/bin:$work/wrap:$bin:$PATH
        export PKG_CONFIG_PATH=$work/home/.local/lib/pkgconfig
        export -p
    ) >"$work/state"
}

# Runs the commands of a block as they are, with what earlier blocks have exported.
run_commands()
{
    printf '. "%s"\nset -eo pipefail\n%s\nexport -p >"%s"\n' "$work/state" "$(cat "$1")" "$work/state" >"$work/script"
    (cd "$work/here" && timeout 280 bash "$work/script") >"$work/printed" 2>&1 </dev/null
}

ends_well()
{
    run_commands "$1" && return
    cat "$work/printed"
    return 1
}

# Numbers may differ from run to run, and with them "1 worker" and "2 workers".
without_figures()
{
    sed -E 's/[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?/N/g; s/\<(row|worker|node)s\>/\1/g' "$1"
}

prints_exactly() { diff "$1" "$work/printed"; }
prints_in_any_order() { diff <(sort "$1") <(sort "$work/printed"); }
prints_but_for_figures() { diff <(without_figures "$1") <(without_figures "$work/printed"); }

c_compiles()
{
    local compiler=cc
    grep -q '<mpi.h>' "$1" && compiler=mpicc
    "$compiler" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$source_folder/lib/include" "$1"
}

# A C file without the comments that it begins with.
without_head()
{
    awk 'body { print; next }
         !comment && !/^\/\*/ { body = 1; print; next }
         { comment = !/\*\/$/ }' "$1"
}

# The Python in the comment that a C file begins with.
python_in_head()
{
    sed -n '/^#include/q; s/^ \*     //p; s/^ \*$//p' "$1"
}

is_the_file() { diff "$1" <(without_head "$2"); }

is_in_head()
{
    local inside
    inside=$(python_in_head "$2")
    [[ $inside == *"$(cat "$1")"* ]] || diff "$1" <(echo "$inside")
}

# The C file of the project that has a name, if there is one.
file_of_project()
{
    local name=${1%.*}.c folder
    for folder in examples plugins; do
        [ ! -f "$source_folder/apps/$folder/$name" ] || echo "$source_folder/apps/$folder/$name"
    done
}

# write_file BLOCK LANGUAGE NAME TITLE
write_file()
{
    local of_project
    of_project=$(file_of_project "$3")
    cp "$1" "$work/here/$3"
    case $2 in
    c)
        check "$4 compiles" c_compiles "$work/here/$3"
        [ -z "$of_project" ] || check "$4 is $of_project" is_the_file "$1" "$of_project"
        ;;
    python) [ -z "$of_project" ] || check "$4 is in the comment of $of_project" is_in_head "$1" "$of_project" ;;
    esac
}

# run_block FILE: does what its first line says.
run_block()
{
    local block=$1 line language word title
    read -r line language word <"$block.info"
    title="line $line: \`\`\`$language $word"
    case "$language $word" in
    "sh test")
        check "$title ends well" ends_well "$block"
        after_commands=yes
        return
        ;;
    "text ") [ -z "$after_commands" ] || check "$title is what is printed" prints_exactly "$block" ;;
    "text figures") check "$title is what is printed" prints_but_for_figures "$block" ;;
    "text any order") check "$title is what is printed" prints_in_any_order "$block" ;;
    "text example") ;;
    "sh ") check "$title names what exists" names_exist "$block" ;;
    "sh "* | "text "* | *" ") check "$title: no such mark is known, and a file has a name" false ;;
    *) write_file "$block" "$language" "$word" "$title" ;;
    esac
    after_commands=
}

# The headings of a text, as links name them.
headings()
{
    sed -nE 's/^#+ //p' "$1" | tr '[:upper:] ' '[:lower:]-' | tr -d '`.,:()'
}

# A C file of the project, whichever folder it is in, or of this document.
is_source()
{
    [ -e "$work/here/$1" ] || [ -n "$(find "$source_folder"/{lib,apps,tests} \( -path "*/$1" -o -name "$1" \) -print -quit)" ]
}

# Words that look like files of the project, C files in backquotes, and commands of ./dev, in a text.
names_exist()
{
    local name wrong=0
    for name in $(grep -oP '(?<![\w./~-])(apps|lib|tests|slurm|config|doc|\.ci)/[\w./-]*\w' "$1" | sort -u); do
        [ -e "$source_folder/$name" ] || { echo "there is no $name"; wrong=1; }
    done
    for name in $(grep -oP '`[a-z0-9_/]+\.[ch]`' "$1" | tr -d '\`' | sort -u); do
        is_source "$name" || { echo "no source is named $name"; wrong=1; }
    done
    for name in $(grep -oE '\./dev [a-z]+' "$1" | cut -d' ' -f2 | sort -u); do
        [ "$name" = help ] || grep -qE "^  $name( |\$)" <<<"$("$source_folder/dev" help)" || { echo "there is no ./dev $name"; wrong=1; }
    done
    return $wrong
}

# Links lead to files, and to headings in them.
links_lead_somewhere()
{
    local link file folder wrong=0
    folder=$(dirname "$document")
    for link in $(grep -oE '\]\([^) ]*\)' "$document" | tr -d '])(' | sort -u); do
        [[ $link != http*://* ]] || continue
        file=$folder/${link%%#*}
        [[ $link != '#'* ]] || file=$document
        if [ ! -e "$file" ]; then
            echo "there is no $link"
            wrong=1
        elif [[ $link == *'#'* ]] && ! grep -qx -- "${link##*#}" <<<"$(headings "$file")"; then
            echo "there is no heading $link"
            wrong=1
        fi
    done
    return $wrong
}

# Names of variables that somebody reads: in quotes in C, after a $ in scripts.
variables_that_are_read()
{
    local kinds='(MPMAP|SLURM|OMPI|PMIX|PMI|MV2|HYDRA|HYDI|HDF5)_[A-Z0-9_]+'
    cd "$source_folder" || return
    {
        grep -rhoE "\"$kinds\"|getenv\(\"[A-Z0-9_]+\"" lib apps --include='*.[ch]'
        grep -rhoE "\\$\{?$kinds" dev slurm apps --include='*.sh' --include='*.sbatch' --include=dev
    } | grep -oE '[A-Z0-9_]{3,}' | sort -u
}

# Each has a line in the table, and each name in the first column is read by somebody, or is of tests, which say so.
variables_are_in_the_table()
{
    local name wrong=0 table
    table=$(sed -n '/^## Environment variables/,$p' "$document" | grep '^| `')
    variables_that_are_read >"$work/read"
    [ "$(wc -l <"$work/read")" -ge 30 ] || { echo "no variables are found"; wrong=1; }
    while read -r name; do
        grep -qE "^\|[^|]*\`$name\`" <<<"$table" || { echo "$name has no line in the table"; wrong=1; }
    done <"$work/read"
    for name in $(cut -d'|' -f2 <<<"$table" | grep -oE '[A-Z0-9_]{3,}'); do
        grep -qx "$name" "$work/read" || grep -qE "^\|[^|]*\`$name\`.*(HDF5|test.* scripts) \|$" <<<"$table" ||
            { echo "nobody reads $name"; wrong=1; }
    done
    return $wrong
}

# The options of each command, as its help has them, one a line: "COMMAND --option".
options_that_are_taken()
{
    local command name
    for command in $("$bin/mpmap" --help | grep -oE '^  mpmap [a-z]+' | cut -d' ' -f4); do
        { "$bin/mpmap" "$command" --help
        [ "$command" != bench ] || for name in $("$bin/mpmap" bench --help | grep -oE '^  mpmap bench [a-z]+' | cut -d' ' -f5); do
            "$bin/mpmap" bench "$name" --help
        done; } | grep -oE '^  --[a-z-]+' | sed "s/^ */$command /"
    done | sort -u
}

# All of them are in the table, and nothing else is.
options_are_in_the_table()
{
    options_that_are_taken >"$work/taken"
    [ "$(wc -l <"$work/taken")" -ge 50 ] || echo "no options are found"
    grep -oE '^\| `--[a-z-]+` \| [a-z, ]+ \|' "$document" | tr -d '`|,' | while read -r option commands; do
        for command in $commands; do echo "$command $option"; done
    done | sort -u >"$work/listed"
    diff "$work/listed" "$work/taken" >"$work/differ" || { sed 's/^</not taken:/; s/^>/not in the table:/' "$work/differ"; return 1; }
}

# Prints those of the names in the first line that are not there.
missing_needs()
{
    local name
    for name in $(sed -nE '1s/^<!-- needs (.*) -->$/\1/p' "$document"); do
        case $name in
        h5py) /usr/bin/python3 -c 'import h5py' 2>/dev/null || echo "$name" ;;
        *) [ -x "$bin/$name" ] || command -v "$name" >/dev/null || echo "$name" ;;
        esac
    done
}

missing=$(missing_needs)
if [ -n "$missing" ]; then
    skip "$document" "there is no $(tr "\n" " " <<<"$missing")"
    exit 0
fi
check "all blocks end" cut_blocks
make_scratch
after_commands=
for block in "$work"/blocks/[0-9][0-9][0-9]; do
    [ ! -f "$block" ] || run_block "$block"
done
check "what the document names exists" names_exist "$document"
check "links lead somewhere" links_lead_somewhere
if [ "$document" = "$source_folder/README.md" ]; then
    check "README.md has 150 lines at most: more is for doc/" [ "$(wc -l <"$document")" -le 150 ]
fi
if grep -q '^| variable |' "$document"; then
    check "variables are in the table" variables_are_in_the_table
fi
if grep -q '^## Options' "$document"; then
    check "options are in the table" options_are_in_the_table
fi

report
