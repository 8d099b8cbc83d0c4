#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The demonstration: a library of real photographs, with some broken files among them, made ready for the web; then
# the run is killed and goes on, and the catalogue is asked.
#
#   MPMAP_BIN  folder with mpmap and mpmap-photos
#   MPMAP_OUT  folder for what is made here
set -euo pipefail

out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
wallpapers=/usr/share/wallpapers

rm -rf "$out/library" "$out/web"
mkdir -p "$out/library"
cd "$out"

# Copies as people keep them: smaller, turned, encoded again. And what is found in every old library.
make_copies()
{
    local photographs photograph number=0
    mapfile -t photographs < <(find "$wallpapers" -type f -path '*2560x1600.jpg' | sort)
    for photograph in "${photographs[@]:0:4}"; do
        number=$((number + 1))
        vipsthumbnail -s 1000 -o "$PWD/library/copy-$number.jpg[Q=60]" "$photograph"
        vips rot "$photograph" "library/turned-$number.jpg" d90
    done
    head -c 200000 "${photographs[0]}" >library/half-a-download.jpg
    printf 'GIF89a' >library/animation.jpg
    : >library/empty.png
}

echo "Making some copies and broken files beside the wallpapers of KDE Plasma ..."
make_copies
photos=("$bin/mpmap" photos "$wallpapers" "$out/library" --out "$out/web" --resume)

echo "The library, on every CPU of this machine, killed with -9 after 3 seconds:"
echo "  ${photos[*]}"
"${photos[@]}" &
run=$!
sleep 3
kill -9 "$run" 2>/dev/null || true
wait "$run" 2>/dev/null || true
echo "The same command goes on:"
"${photos[@]}" || true

echo
echo "The sharpest photographs of the catalogue:"
/usr/bin/python3 - "$out/web/photos.h5" <<'P'
import sys
import h5py
with h5py.File(sys.argv[1]) as file:
    photos = {name: column[:] for name, column in file["photos"].items()}
for at in sorted(range(len(photos["path"])), key=lambda at: -photos["sharpness"][at])[:5]:
    print("  %7.0f  %5d x %-5d %s" % (photos["sharpness"][at], photos["width"][at], photos["height"][at],
                                      photos["path"][at].decode(errors="replace")))
P

cat <<TEXT

Look at   $out/web/index.html   (in any browser: photographs, groups of near-duplicates, and the files that failed)

What is in the catalogue:
  $bin/mpmap look $out/web/photos.h5

Wallpapers: those of KDE Plasma, of the Debian package plasma-workspace-wallpapers, whose copyright file names their authors.
TEXT
