#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The demonstration: paints two photographs with a plugin, on all CPUs, and says what to try next.
#
#   MPMAP_BIN      folder with mpmap, and demo/ with photo_tiles and tiles_png
#   MPMAP_PLUGINS  folder with paint.so
#   MPMAP_OUT      folder for what is made here; the photographs are kept there
set -euo pipefail

source_folder=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
plugins=$(realpath "${MPMAP_PLUGINS:?set it to the folder of paint.so}")
package=python3-sklearn
images=usr/lib/python3/dist-packages/sklearn/datasets/images

fail()
{
    echo "demo: $*" >&2
    exit 1
}

# Takes the photographs out of the package, but neither installs it nor what it depends on.
unpack_photos()
{
    local archive
    (cd "$out/download" && apt-get -q download "$package" 2>&1) >"$out/download/log" ||
        fail "apt-get cannot download $package: $(tail -n 1 "$out/download/log")"
    archive=$(find "$out/download" -name "${package}_*.deb" -print -quit)
    dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$out/download" "./$images"
    mv "$out/download/$images" "$out/photos"
}

find_photos()
{
    if [ -f "/$images/china.jpg" ]; then
        photos=/$images
        return
    fi
    photos=$out/photos
    if [ ! -f "$photos/china.jpg" ]; then
        echo "Getting two photographs out of the Debian package $package ..."
        rm -rf "$out/photos" "$out/download"
        mkdir -p "$out/download"
        unpack_photos
        rm -rf "$out/download"
    fi
}

# The words of mpirun that fit here: as root it wants to be told so, and with few CPUs too.
mpirun_words()
{
    local words="mpirun -n 4"
    if [ "$(id -u)" -eq 0 ]; then words+=" --allow-run-as-root"; fi
    if [ "$(nproc)" -lt 4 ]; then words+=" --oversubscribe --bind-to none"; fi
    echo "$words"
}

mkdir -p "$out"
find_photos
"$bin/demo/photo_tiles" "$out/tiles.h5" "$photos/china.jpg" "$photos/flower.jpg"
map=("$bin/mpmap" map "$plugins/paint.so:paint" "$out/tiles.h5:/tiles" "$out/painted.h5:/tiles" --overwrite)

echo "Painting them, in tiles, on every CPU of this machine:"
echo "  ${map[*]}"
"${map[@]}"
"$bin/demo/tiles_png" "$out/tiles.h5" "$out/painted.h5" "$out/painted.png"

cat <<TEXT

Look at   $out/painted.png  (left as photographed, right as painted)

Next, the same with four MPI processes, or as many as your cluster has:
  $(mpirun_words) ${map[*]}
what it made:
  h5dump -H $out/painted.h5
and a change of the brush, in the few lines of C that paint (how to build them stands at their top):
  $source_folder/apps/plugins/paint.c

Photographs: china.jpg and flower.jpg of scikit-learn's sample images, CC BY 2.0; the photographers are
named in $photos/README.txt.
TEXT
