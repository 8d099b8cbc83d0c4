#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The demonstration: what Debian consists of, from apt's own lists, and eleven years of wind over the sea, from a data package
# of Ferret: means and trends of each place, as a picture.
#
#   MPMAP_BIN  folder with mpmap and mpmap-tally
#   MPMAP_OUT  folder for what is made here; the data are kept there
set -euo pipefail

out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
package=ferret-datasets
winds=usr/share/ferret-vis/data/monthly_navy_winds.cdf
mkdir -p "$out"
cd "$out"

fail()
{
    echo "demo: $*" >&2
    exit 1
}

# show COMMAND…: prints the command, with quotes where they are needed, and runs it.
show()
{
    local word line='$'
    for word in "$@"; do
        case $word in
            *[\ \>\(]*) line+=" '$word'" ;;
            *) line+=" $word" ;;
        esac
    done
    printf '\n%s\n' "$line"
    "$bin/$1" "${@:2}"
}

# Every package that apt knows of, a line each.
list_packages()
{
    apt-cache dumpavail | awk '
        function put() { if (name != "") printf "%s,%s,%s,%s,%s\n", name, section, architecture, size, installed }
        /^Package: / { put(); name = $2; section = ""; size = ""; installed = "" }
        /^Section: / { section = $2 }
        /^Architecture: / { architecture = $2 }
        /^Size: / { size = $2 }
        /^Installed-Size: / { installed = $2 * 1024 }
        END { put() }' | { echo package,section,architecture,download,installed; cat; } >packages.csv
}

# Takes the winds out of the package, but neither installs it nor what it depends on.
get_winds()
{
    local archive=
    [ ! -f winds.nc ] || return 0
    if [ ! -f "/$winds" ]; then
        echo "Getting eleven years of winds out of the Debian package $package (28 MB) ..."
        apt-get -q download "$package" >log 2>&1 || fail "apt-get cannot download $package: $(tail -n 1 log)"
        archive=$(find . -name "${package}_*.deb" -print -quit)
        dpkg-deb --fsys-tarfile "$archive" | tar -x "./$winds"
    fi
    # It is of netCDF's classic kind; HDF5 is that of netCDF-4.
    nccopy -k nc4 "${archive:+.}/$winds" winds.nc
    rm -rf usr ./"$package"_*.deb log
}

# Two maps, one above the other: the mean of the west wind, and its trend; red is towards the east, blue towards the west.
draw()
{
    /usr/bin/python3 - <<'P'
import h5py, numpy
from PIL import Image, ImageDraw
with h5py.File("wind.h5") as file:
    maps = {"mean west wind, m/s": file["west/mean"][()], "its trend, m/s in ten years": file["west/trend"][()] * 120}
width, height, bar = 1152, 584, 34
picture = Image.new("RGB", (width, 2 * (height + bar)), "white")
draw = ImageDraw.Draw(picture)
for number, (title, values) in enumerate(maps.items()):
    values = values[::-1]  # north is above
    most = numpy.nanpercentile(abs(values), 99)
    share = numpy.clip(values / most, -1, 1)[..., None]
    red, blue, white = (numpy.array(c, float) for c in ((178, 24, 43), (33, 102, 172), (247, 247, 247)))
    colours = numpy.where(share > 0, white + share * (red - white), white - share * (blue - white)).astype("u1")
    top = number * (height + bar)
    picture.paste(Image.fromarray(colours).resize((width, height), Image.BICUBIC), (0, top + bar))
    draw.text((8, top + 10), f"{title}: {-most:.1f} (blue) to {most:.1f} (red)", fill="black")
picture.save("wind.png")
P
}

list_packages
show mpmap tally packages.csv --by section --order -count --limit 12 \
    --show 'count, sum(installed), mean(download), median(download), max(download)'
show mpmap tally packages.csv --by architecture --where 'download > 10000000' --show 'count, sum(download), top(3, download)'

echo
echo "The same bytes with one worker and with five:"
for workers in 1 5; do
    "$bin/mpmap" tally packages.csv --by section,architecture --show 'count, stddev(installed), quantile(0.9, installed)' \
        --csv --quiet --workers $workers | sha256sum
done

get_winds
show mpmap tally winds.nc:/UWND
rm -f wind.h5
show mpmap tally winds.nc:/UWND --cells --output wind.h5:/west
show mpmap tally winds.nc:/UWND --cells
draw

cat <<TEXT

$out/wind.png shows the mean of the west wind of each place, with the trade winds and the roaring forties, and its trend.
All options: mpmap tally --help
TEXT
