#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs mpmap, moves what was installed, and builds and runs a program against it: through find_package
# with the shared and the static library, and through pkg-config with both.
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
