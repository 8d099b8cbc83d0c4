#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs mpmap, moves what was installed, and builds and runs a program against it: through find_package
# with the shared and the static library, and through pkg-config with both. A component that is not there is named.
# Arguments: the build folder, a scratch folder, cmake, a C compiler.
set -eu

build=$1 scratch=$2 cmake=$3 cc=$4
source=$(cd "$(dirname "$0")" && pwd)

rm -rf "$scratch"
mkdir -p "$scratch"
"$cmake" --install "$build" --prefix "$scratch/installed" >/dev/null
mv "$scratch/installed" "$scratch/moved"
prefix=$scratch/moved

"$cmake" -S "$source" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" >/dev/null
"$cmake" --build "$scratch/cmake" >/dev/null

# finds WORD…: of find_package(mpmap WORD…); what it says is in $scratch/said, on one line.
finds()
{
    mkdir -p "$scratch/finds"
    printf 'cmake_minimum_required(VERSION 3.25)\nproject(finds LANGUAGES C)\nfind_package(mpmap %s)\n' "$*" >"$scratch/finds/CMakeLists.txt"
    rm -rf "$scratch/finds/build"
    "$cmake" -S "$scratch/finds" -B "$scratch/finds/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
        >"$scratch/finds/out" 2>&1 && found=yes || found=no
    tr -s ' \n' ' ' <"$scratch/finds/out" >"$scratch/said"
}
finds REQUIRED COMPONENTS static statik
if [ "$found" = yes ] || ! grep -qF 'mpmap has no component "statik": there is "static" only' "$scratch/said"; then
    echo "a component that is not there is to be named, with the one that is:"
    cat "$scratch/said"
    exit 1
fi
finds REQUIRED OPTIONAL_COMPONENTS statik
if [ "$found" = no ]; then
    echo "an optional component may be missing:"
    cat "$scratch/said"
    exit 1
fi

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name mpmap.pc)")
export PKG_CONFIG_PATH
library=$(pkg-config --variable=libdir mpmap)
# The words that pkg-config prints are options, to be split.
"$cc" -std=c11 -o "$scratch/pc_shared" "$source/consumer.c" $(pkg-config --cflags --libs mpmap) -Wl,-rpath,"$library"
mkdir "$scratch/only_static"
cp "$library/libmpmap.a" "$scratch/only_static"
"$cc" -std=c11 -o "$scratch/pc_static" "$source/consumer.c" $(pkg-config --cflags mpmap) \
    -L"$scratch/only_static" $(pkg-config --static --libs mpmap)

for program in cmake/consumer_shared cmake/consumer_static pc_shared pc_static; do
    echo "$program"
    "$scratch/$program"
done
if ldd "$library/libmpmap.so" "$scratch/pc_static" | grep -E 'libmpi|libhdf5'; then
    echo "MPI and HDF5 are to be loaded when they are needed, and are linked"
    exit 1
fi
for program in cmake/consumer_static pc_static; do
    if ldd "$scratch/$program" | grep libmpmap; then
        echo "$program is linked with the shared library"
        exit 1
    fi
done
"$prefix/bin/mpmap" --version
