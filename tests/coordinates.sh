#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Results have the dimensions that they share with their input: named, with coordinates and their attributes, as netCDF4,
# xarray (by both of its engines) and h5py read them; of chosen rows, of several files, of tiles, along another axis, and
# after runs that were killed or joined. Last line: "N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/support/data_sets.sh"
needs_h5py
/usr/bin/python3 -c 'import netCDF4, xarray' 2>/dev/null ||
    { echo "skipped, because python3 has no netCDF4 or xarray"; exit 0; }
engines="netcdf4 h5netcdf"
/usr/bin/python3 -c 'import h5netcdf' 2>/dev/null || { engines=netcdf4; skip "xarray by h5netcdf" "it is not installed"; }
export engines

cat >kept.c <<'C'
#include "noted.h"

const mpm_task_description mean_description = {.result = "f64", .attributes = "long_name = mean of all"};
int mean(mpm_call *call, const void *item, void *result)
{
    size_t count = mpm_call_item_size(call) / sizeof(float);
    const float *numbers = item;
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    *(double *)result = sum / (double)count;
    if (numbers[0] < 0)
        return mpm_fail(call, "%g is negative", (double)numbers[0]);
    return !noted(call);
}

const mpm_task_description named_description = {.result = "f64", .attributes = "coordinates = mine"};
int named(mpm_call *call, const void *item, void *result)
{
    return mean(call, item, result);
}

/* Twice each number: the result has the shape of the item. */
int twice(mpm_call *call, const void *item, void *result)
{
    size_t count = mpm_call_item_size(call) / sizeof(float);

    for (size_t i = 0; i < count; i++)
        ((float *)result)[i] = 2 * ((const float *)item)[i];
    return !noted(call);
}

struct both {
    double first;
    float all[12];
};
const mpm_task_description both_description = {.result = "{f64 first, f32[3,4] all}", .row = "f32"};
int both(mpm_call *call, const void *item, void *result)
{
    struct both *both = result;

    memcpy(both->all, item, sizeof both->all);
    both->first = both->all[0];
    return !noted(call);
}
C
make_plugin kept

cat >make.py <<'P'
import h5py, netCDF4, numpy as np, xarray as xr

def weather(name, first, count, since="2000-01-01", calendar="noleap"):
    with netCDF4.Dataset(name, "w") as f:
        f.title, f.Conventions, f.history = "weather of nowhere", "CF-1.8", "made by a test"
        f.createDimension("time", None); f.createDimension("lat", 3); f.createDimension("lon", 4)
        t = f.createVariable("time", "f8", ("time",), fill_value=-1.0)
        t.units, t.calendar, t.long_name, t.steps = f"days since {since}", calendar, "größe", np.array([1, 2], "i4")
        lat = f.createVariable("lat", "f4", ("lat",)); lat.units = "degrees_north"
        x = f.createVariable("air", "f4", ("time", "lat", "lon"), zlib=True, fill_value=-9)
        x.units, x.standard_name, x.scale_factor = "K", "air_temperature", np.float32(1)
        x.set_auto_scale(False)
        t[:] = np.arange(first, first + count) * 1.5
        lat[:] = [10, 20, 30]
        x[:] = np.arange(first * 12, (first + count) * 12).reshape(count, 3, 4)
weather("a.nc", 0, 50)
weather("b.nc", 50, 30)
weather("c.nc", 80, 20)
weather("other.nc", 80, 20, "2001-01-01")
weather("leaping.nc", 80, 20, calendar="standard")
weather("since.nc", 0, 50, "2001-01-01")

# Bounds of coordinates, as CF has them.
def cells(name, first, count, offset=0, corners=2, since="2000-01-01"):
    with netCDF4.Dataset(name, "w") as f:
        f.createDimension("time", None); f.createDimension("lat", 3); f.createDimension("nv", 2); f.createDimension("nc", corners)
        t = f.createVariable("time", "f8", ("time",)); t.units, t.bounds = f"days since {since}", "time_bnds"
        lat = f.createVariable("lat", "f4", ("lat",)); lat.bounds = "lat_bnds"
        tb = f.createVariable("time_bnds", "f8", ("time", "nc")); lb = f.createVariable("lat_bnds", "f4", ("lat", "nv"))
        x = f.createVariable("air", "f4", ("time", "lat"))
        days = np.arange(first, first + count) + 0.5 + offset
        t[:], tb[:] = days, np.linspace(days - 0.5, days + 0.5, corners, axis=1)
        lat[:], lb[:] = [10, 20, 30], [[5, 15], [15, 25], [25, 35]]
        x[:] = np.arange(first * 3, (first + count) * 3).reshape(count, 3)
cells("cell1.nc", 0, 30)
cells("cell2.nc", 30, 10)
cells("later.nc", 0, 30, 1000)
cells("corners.nc", 30, 10, corners=3); cells("since1.nc", 30, 10, since="2001-01-01")

# What else CF has beside a data set: a grid mapping, coordinates of two dimensions and texts, areas, flags.
def mapped(name, first, count, epsg=1, mapping="crs", north=0):
    with netCDF4.Dataset(name, "w") as f:
        f.createDimension("time", None); f.createDimension("y", 3); f.createDimension("x", 4)
        for n in "yx":
            v = f.createVariable(n, "f8", (n,)); v[:] = np.arange(len(f.dimensions[n])) + (north if n == "y" else 0)
        t = f.createVariable("time", "f8", ("time",)); t.units = "days since 2000-01-01"; t[:] = np.arange(first, first + count)
        c = f.createVariable("crs", "i4", ()); c.grid_mapping_name, c.epsg = "transverse_mercator", epsg
        for n in ("lat", "lon"):
            v = f.createVariable(n, "f4", ("y", "x")); v.units = "degrees"; v[:] = np.arange(12).reshape(3, 4); v.bounds = n + "_bnds"
        a = f.createVariable("cell", "f8", ("y", "x")); a.units = "m2"; a[:] = 7
        s = f.createVariable("site", str, ("time",)); s[:] = np.array([f"säule {i}" for i in range(first, first + count)], object)
        q = f.createVariable("flag", "i1", ("time", "y", "x")); q[:] = np.arange(first, first + count)[:, None, None] % 100
        e = f.createVariable("turned", "f4", ("x", "time")); e[:] = 0
        v = f.createVariable("v", "f4", ("time", "y", "x"))
        v.coordinates, v.grid_mapping, v.cell_measures, v.ancillary_variables = "time lat lon site none turned", mapping, "area: cell volume: gone", "flag"
        v.valid_min, v.valid_max, v.valid_range, v.actual_range, v.missing_value = -9, 9999, [-9, 9999], [0, 999], -99
        v[:] = np.arange(first * 12, (first + count) * 12).reshape(count, 3, 4)
mapped("m1.nc", 0, 20); mapped("m2.nc", 20, 10); mapped("zone.nc", 0, 20, 2); mapped("long.nc", 0, 20, 1, "crs: x y gone: lat lon")
mapped("north.nc", 0, 20, north=100)

# By xarray, with texts as coordinates, in a group.
for name, word in ("x.nc", "säule"), ("mast.nc", "mäste"):
    xr.Dataset({"v": (("station", "level"), np.arange(60, dtype="f4").reshape(20, 3), {"units": "m"})},
               {"station": ("station", np.array([f"{word} {i}" for i in range(20)], object)),
                "level": ("level", [1000, 850, 500], {"positive": "down"})}).to_netcdf(name, group="deep/er", engine="netcdf4")

# By h5py: one dimension with two scales, one with none, one whose scale is too short.
with h5py.File("scales.h5", "w") as f:
    d = f.create_dataset("d", data=np.arange(240, dtype="f4").reshape(20, 3, 4))
    f["time"] = np.arange(20) * 2; f["number"] = np.arange(20, dtype="u1"); f["short"] = [1.0, 2.0]
    for name in ("time", "number", "short"): f[name].make_scale(name)
    d.dims[0].attach_scale(f["time"]); d.dims[0].attach_scale(f["number"]); d.dims[2].attach_scale(f["short"])
    f["image"] = np.arange(48, dtype="f4").reshape(6, 8)
    f["y"] = np.arange(6) / 2; f["x"] = np.arange(8) / 4
    for i, name in enumerate("yx"):
        f[name].make_scale(name); f["image"].dims[i].attach_scale(f[name])
    f["plain"] = np.arange(8, dtype="f4").reshape(4, 2); f["plain"].attrs["mine"] = 7
P
/usr/bin/python3 -W ignore make.py || exit 1

cat >is.py <<'P'
# is.py FILE GROUP CODE: the code finds a data set `x` of xarray, whatever its engine; `n` is numpy, `raw` what h5py reads.
import h5py, numpy as n, os, sys, warnings, xarray
warnings.simplefilter("ignore")
name, group, code = sys.argv[1:4]
for engine in os.environ["engines"].split():
    with xarray.open_dataset(name, group=group or None, engine=engine, decode_times=False) as x, h5py.File(name) as raw:
        exec(code)
    with xarray.open_dataset(name, group=group or None, engine=engine) as decoded:
        decoded.load()
P
is() { /usr/bin/python3 is.py "$@"; }
map() # TASK IN OUT option…
{
    "$bin/mpmap" map kept.so:"$1" "$2" "$3" --chunk 2 --workers 2 --quiet "${@:4}" >out 2>err </dev/null
    status=$?
}
says() { grep -qF -- "$1" err; }

# 1. What is taken over.
map mean a.nc:/air mean.h5:/g/mean
check "the dimension of rows has its name and its coordinates" is mean.h5 g '
assert x["mean"].dims == ("time",) and n.array_equal(x.time, n.arange(50) * 1.5)
assert n.array_equal(x["mean"], n.arange(600.).reshape(50, 12).mean(1))
assert x["mean.done"].dims == ("time",) and (x["mean.done"] == 1).all()'
check "with all of their attributes, which are texts where they were" is mean.h5 g '
assert x.time.attrs["units"] == "days since 2000-01-01" and x.time.attrs["calendar"] == "noleap", x.time.attrs
assert x.time.attrs["long_name"] == "größe" and list(x.time.attrs["steps"]) == [1, 2]
assert type(x.time.attrs["units"]) is str and x.time.encoding["_FillValue"] == -1
assert set(x.time.attrs) == {"units", "calendar", "long_name", "steps"}, x.time.attrs
t = raw["g/time"]; assert raw["g/mean"].dims[0][0] == t and t.attrs["CLASS"] == b"DIMENSION_SCALE"'
check "and of the data set only what the plugin says" is mean.h5 g '
assert x["mean"].attrs["long_name"] == "mean of all" and "standard_name" not in x["mean"].attrs
assert "title" not in raw.attrs'
cp mean.h5 changed.h5
check "netCDF4 may change it" /usr/bin/python3 -c '
import netCDF4
with netCDF4.Dataset("changed.h5", "a") as f: f["g/mean"].units = "K"; f["g/time"][3] = 7
with netCDF4.Dataset("changed.h5") as f: assert f["g/mean"].units == "K" and f["g/time"][3] == 7 and f["g"].dimensions["time"].size == 50'
map twice a.nc:/air twice.h5:/twice --result 'f32[3,4]' --keep attributes --rows 5:45:4
check "results as large as an item have all dimensions, of chosen rows" is twice.h5 "" '
assert x.twice.dims == ("time", "lat", "lon") and n.array_equal(x.time, n.arange(5, 45, 4) * 1.5)
assert n.array_equal(x.lat, [10, 20, 30]) and x.lat.attrs["units"] == "degrees_north" and "lon" not in x.coords
assert n.array_equal(x.twice, 2 * n.arange(600).reshape(50, 3, 4)[5:45:4])'
check "attributes of the data set and the file, if that is wanted" is twice.h5 "" '
assert x.twice.attrs["units"] == "K" and x.twice.attrs["standard_name"] == "air_temperature"
assert x.attrs["title"] == "weather of nowhere" and x.attrs["Conventions"] == "CF-1.8"
a = raw["twice"].attrs; assert "scale_factor" not in a and "_FillValue" not in a'
map mean a.nc:/air bare.h5:/mean --keep nothing
check "nothing, if that is wanted" is mean.h5 g 'b = h5py.File("bare.h5"); assert set(b) == {"mean", "mean.done"} and not b["mean"].attrs.keys() & {"DIMENSION_LIST", "input_kept"}'
map mean scales.h5:/plain plain.h5:/mean
check "of an input without scales a result is as ever" cmp <(h5dump -H plain.h5 | sed 1d) <(h5dump -H bare.h5 | sed '1d; s/( 50 )/( 4 )/g')
map mean scales.h5:/plain attributes.h5:/mean --keep attributes
check "attributes alone, where the input has no scales" /usr/bin/python3 -c '
import h5py
a = h5py.File("attributes.h5")["mean"].attrs; assert a["mine"] == 7 and "DIMENSION_LIST" not in a'
map both a.nc:/air both.h5:/a/both
check "several results, in a group of their own" is both.h5 a/both '
assert x["first"].dims == ("time",) and x["all"].dims == ("time", "lat", "lon") and n.array_equal(x.time, n.arange(50) * 1.5)'
check "and their marks" is both.h5 a 'assert x["both.done"].dims == ("time",) and len(x["both.done"]) == 50'
map mean x.nc:/deep/er/v station.h5:/v
check "texts are coordinates, too" is station.h5 "" '
assert list(x.station.values) == [f"säule {i}" for i in range(20)] and x.v.dims == ("station",)'
/usr/bin/python3 -c "
import h5py, numpy as np
with h5py.File('list.h5', 'w') as f: f['rows'] = [7, 3, 3, 19]"
map mean x.nc:/deep/er/v listed.h5:/v --rows list.h5:/rows
check "of a list of rows" is listed.h5 "" 'assert list(x.station.values) == [f"säule {i}" for i in (7, 3, 3, 19)]'
map twice x.nc:/deep/er/v where.h5:/v --result 'f32[3]' --where '/deep/er/level > 0' 
check "a condition on as many rows" says 'has 3'
map mean x.nc:/deep/er/v axis.h5:/v --axis 1
check "along another axis" is axis.h5 "" '
assert x.v.dims == ("level",) and list(x.level) == [1000, 850, 500] and x.level.attrs["positive"] == "down"'
map twice x.nc:/deep/er/v turned.h5:/v --axis 1 --result 'f32[20]' --rows 2:0:1
map twice x.nc:/deep/er/v turned.h5:/v --axis 1 --result 'f32[20]' --rows 1:
check "of which some are chosen" is turned.h5 "" '
assert x.v.dims == ("level", "station") and list(x.level) == [850, 500] and x.station[3] == "säule 3"'
map mean a.nc:/time self.h5:/out --result f64
check "coordinates are rows themselves" is self.h5 "" 'assert x.out.dims == ("time",) and n.array_equal(x.time, n.arange(50) * 1.5)'

map mean cell1.nc:/air cells.h5:/mean
check "bounds of coordinates stand beside them" is cells.h5 "" '
days = n.arange(30)
assert x.time_bnds.dims == ("time", "bnds") and n.array_equal(x.time_bnds, n.stack([days, days + 1], 1))
assert x.time.attrs["bounds"] == "time_bnds" and "bnds" not in x.variables and "lat" not in x.dims'
map twice 'cell[12].nc:/air' cells2.h5:/g/twice --result 'f32[3]' --rows 25:35:3
check "of several files, of chosen rows, and of dimensions behind the rows" is cells2.h5 g '
days = n.arange(25, 35, 3)
assert n.array_equal(x.time_bnds, n.stack([days, days + 1], 1)) and n.array_equal(x.lat_bnds, [[5, 15], [15, 25], [25, 35]])
assert x.lat_bnds.dims == ("lat", "bnds") and x.twice.dims == ("time", "lat") and n.array_equal(x.time, days + 0.5)'
map mean cell1.nc:/air cells.h5:/again --into
check "into a file that has the same coordinates come no others" is cells.h5 "" '
assert set(x.variables) == {"time", "time_bnds", "mean", "mean.done", "again", "again.done"} and x.again.dims == ("time",), set(x.variables)'
map mean later.nc:/air cells.h5:/later --into
check "other ones have bounds of their own" is cells.h5 "" '
assert x.later.dims == ("time_",) and x.time_.attrs["bounds"] == "time_bnds_" and x.time_bnds_.dims == ("time_", "bnds")
assert x.time_bnds_[0, 0] == 1000 and x.time_bnds[0, 0] == 0'
map mean cell1.nc:/air whole.h5:/mean
killed_at 10 "$bin/mpmap" map kept.so:mean cell1.nc:/air killed.h5:/mean --chunk 2 --quiet
map mean cell1.nc:/air killed.h5:/mean --resume
check "after a kill, too" cmp whole.h5 killed.h5
cp whole.h5 over.h5
map mean cell1.nc:/air over.h5:/mean --overwrite
check "a file with nothing else may be overwritten by them" cmp whole.h5 over.h5
printf '%s\n' cell1.nc corners.nc >list
map mean @list:/air corners.h5:/mean
check "bounds that have other corners in another file are left out, and not their coordinates" is corners.h5 "" '
assert set(x.variables) == {"time", "mean", "mean.done"} and n.array_equal(x.time, n.arange(40) + 0.5), x'
printf '%s\n' cell1.nc since1.nc >list
map mean @list:/air since.h5:/mean
check "coordinates that do not go on have no bounds" is since.h5 "" 'assert set(x.variables) == {"mean", "mean.done"} and len(x.time) == 40, x'
/usr/bin/python3 -c "
import netCDF4
with netCDF4.Dataset('cell1.nc', 'a') as f: f['time'].bounds = 'air'; f['lat'].bounds = 'none/such'"
map twice cell1.nc:/air odd.h5:/twice --result 'f32[3]'
check "bounds that are none are left" is odd.h5 "" 'assert x.lat.attrs["bounds"] == "none/such" and x.air.dims == ("time", "vertices_3")'
rm whole.h5 killed.h5 over.h5

# 2. Names that are taken, scales as h5py has them.
map mean a.nc:/air taken.h5:/time
check "a result of that very name" is taken.h5 "" 'assert raw["time"].dims[0][0].name == "/time_" and raw["time"].shape == (50,)'
map twice scales.h5:/d two.h5:/r --result 'f32[3,4]'
check "two scales of one dimension, none, and one that is too short" is two.h5 "" '
r = raw["r"]
assert [s.name for s in r.dims[0].values()] == ["/time", "/number"] and n.array_equal(raw["time"], n.arange(20) * 2)
assert raw["number"].dtype == n.uint8 and r.dims[1][0].shape == (3,) and r.dims[2][0].shape == (4,)
assert x.r.shape == (20, 3, 4) and x.r.dims[1:] == ("dim_1", "short"), x.r'
check "which is told" says 'the coordinates /short of scales.h5:/d are left out: they cannot be read, or are fewer than rows'

# What a file has already is taken if it says the same.
map mean a.nc:/air same.h5:/a/mean
map both a.nc:/air same.h5:/a/both --into
check "marks in another group take the dimension that is there" is same.h5 a '
assert set(x.variables) == {"time", "mean", "mean.done", "both.done"} and x["both.done"].dims == ("time",), x'
map mean since.nc:/air same.h5:/a/since --into
check "but not times that count from another day" is same.h5 a 'assert x.since.dims == ("time_",) and x.time_.attrs["units"] == "days since 2001-01-01"'
map mean a.nc:/air same.h5:/a/since --into --overwrite
users='
users = lambda scale: sorted(raw[r].name for r, _ in raw[scale].attrs["REFERENCE_LIST"])'
check "scales know who uses them, also when results went" is same.h5 a "$users"'
assert users("a/time") == ["/a/both.done", "/a/mean", "/a/mean.done", "/a/since", "/a/since.done"], users("a/time")
assert x.since.dims == ("time",) and "time_" not in raw["a"] and raw["a/since"].attrs["input_kept"] == ""'
map mean since.nc:/air same.h5:/a/since --into --overwrite
check "what was taken stays when those who have taken it go" is same.h5 a 'assert n.array_equal(x.time, n.arange(50) * 1.5) and x["mean"].dims == ("time",)'
cp station.h5 masts.h5
map mean mast.nc:/deep/er/v masts.h5:/w --into
check "nor other texts" is masts.h5 "" 'assert x.w.dims == ("station_",) and x.station_[3] == "mäste 3" and x.station[3] == "säule 3"'

# 3. Several files.
map mean '[abc].nc:/air' all.h5:/mean
check "coordinates of several files follow one another" is all.h5 "" '
assert n.array_equal(x.time, n.arange(100) * 1.5) and x.time.attrs["units"] == "days since 2000-01-01"
assert n.array_equal(x["mean"], n.arange(1200.).reshape(100, 12).mean(1))'
map twice '[abc].nc:/air' some.h5:/twice --result 'f32[3,4]' --rows 45:85:7
check "those of chosen rows of them, too" is some.h5 "" '
assert n.array_equal(x.time, n.arange(45, 85, 7) * 1.5) and n.array_equal(x.lat, [10, 20, 30])'
printf '%s\n' a.nc other.nc >list
map mean @list:/air differ.h5:/mean
check "but not of other units" is differ.h5 "" 'assert x["mean"].dims == ("time",) and "time" not in x.coords and len(x["mean"]) == 70'
check "which is told" says 'other.nc:/air are left out: their units are not the same in all files'
printf '%s\n' a.nc leaping.nc >list
map mean @list:/air differ.h5:/mean --overwrite
check "nor of another calendar" is differ.h5 "" 'assert x["mean"].dims == ("time",) and "time" not in x.coords and len(x["mean"]) == 70'

# 4. Tiles.
map twice scales.h5:/image image.h5:/image --tile 3,4 --stitch --result 'f32[3,4]'
check "an image of tiles" is image.h5 "" '
assert x.image.dims == ("y", "x") and n.array_equal(x.y, n.arange(6) / 2) and n.array_equal(x.x, n.arange(8) / 4)
assert n.array_equal(x.image, 2 * n.arange(48).reshape(6, 8))'
map mean a.nc:/air days.h5:/mean --tile 1,3,4
check "tiles of one element of a dimension" is days.h5 "" '
assert x["mean"].dims[0] == "time" and x["mean"].shape == (50, 1, 1) and n.array_equal(x.time, n.arange(50) * 1.5)'
map mean scales.h5:/image grid.h5:/mean --tile 3,4
check "no others" is mean.h5 g 'g = h5py.File("grid.h5"); assert g["mean"].shape == (2, 2) and set(g) == {"mean", "mean.done"}'

# 5. The fill value.
/usr/bin/python3 -c "
import netCDF4
with netCDF4.Dataset('a.nc', 'a') as f: f['air'].set_auto_maskandscale(False); f['air'][20] = -1"
map mean a.nc:/air failed.h5:/mean --fill -5
check "the fill value is that of netCDF" is failed.h5 "" '
assert raw["mean"].attrs["_FillValue"] == -5 and raw["mean"].fillvalue == -5 and n.isnan(x["mean"][20]) and n.isnan(x["mean"]).sum() == 1
assert n.array_equal(x.time, n.arange(50) * 1.5)'

# 6. Companions.
cat >all.py <<'P'
import sys, warnings, numpy as n, netCDF4, xarray
warnings.simplefilter("error")
with xarray.open_dataset(sys.argv[1], group=sys.argv[2] or None, decode_coords="all", engine="netcdf4") as x: exec(sys.argv[3])
P
opens() { /usr/bin/python3 all.py "$@"; }
map twice m1.nc:/v m.h5:/g/twice --result 'f32[3,4]' --rows 3:15:4
check "results with all dimensions have all that CF names beside them" opens m.h5 g '
assert set(x.coords) == {"time", "y", "x", "lat", "lon", "site", "crs", "cell"}, x
assert x.crs.attrs == {"grid_mapping_name": "transverse_mercator", "epsg": 1} and x.crs.dims == ()
assert x.lat.dims == ("y", "x") and n.array_equal(x.lat, n.arange(12).reshape(3, 4)) and x.lat.attrs == {"units": "degrees"}
assert list(x.site.values) == ["säule 3", "säule 7", "säule 11"] and (x.cell == 7).all() and x.cell.attrs == {"units": "m2"}'
check "and name it, but for what is not there" is m.h5 g '
assert raw["g/twice"].attrs["grid_mapping"] == "crs" and raw["g/twice"].attrs["cell_measures"] == "area: cell"
assert "bounds" not in raw["g/lat"].attrs
assert raw["g/twice"].attrs["coordinates"] == "lat lon site" and "ancillary_variables" not in raw["g/twice"].attrs
assert not raw["g/twice.done"].attrs.keys() & {"grid_mapping", "coordinates"}'
map mean m1.nc:/v mean1.h5:/mean
check "results of rows have what stands along rows" opens mean1.h5 "" 'assert set(x.variables) == {"time", "site", "mean", "mean.done"} and len(x.site) == 20, x'
map named m1.nc:/v named.h5:/named
check "what the plugin says of its result stays" is named.h5 "" 'assert raw["named"].attrs["coordinates"] == "mine" and "site" in raw'
map both m1.nc:/v both1.h5:/both
check "each of several results has its own" is both1.h5 both '
assert raw["both/first"].attrs["coordinates"] == "site" and raw["both/all"].attrs["coordinates"] == "lat lon site"
assert "grid_mapping" not in raw["both/first"].attrs and raw["both/all"].attrs["grid_mapping"] == "crs"'
map twice 'm[12].nc:/v' m2.h5:/twice --result 'f32[3,4]' --keep attributes --rows 15:25:2
check "of several files, and with flags where attributes are wanted" opens m2.h5 "" '
assert list(x.site.values) == [f"säule {i}" for i in range(15, 25, 2)] and x.twice.attrs["ancillary_variables"] == "flag"
assert x.flag.dims == ("time", "y", "x") and n.array_equal(x.flag[:, 1, 2], range(15, 25, 2))
assert not x.twice.attrs.keys() & {"valid_min", "valid_max", "valid_range", "actual_range", "missing_value"}, x.twice.attrs'
map twice long.nc:/v long.h5:/twice --result 'f32[3,4]'
check "a grid mapping may say what it maps" is long.h5 "" 'assert raw["twice"].attrs["grid_mapping"] == "crs: x y"'
cp m.h5 more.h5
map twice m1.nc:/v more.h5:/g/again --result 'f32[3,4]' --rows 3:15:4 --into
check "into a file that has the same come no others" opens more.h5 g '
assert set(x.variables) == {"time", "y", "x", "lat", "lon", "site", "crs", "cell", "twice", "twice.done", "again", "again.done"}, x'
map twice zone.nc:/v more.h5:/g/zone --result 'f32[3,4]' --rows 3:15:4 --into
check "but another grid mapping does" opens more.h5 g 'assert x.crs_.attrs["epsg"] == 2 and x.zone.encoding["grid_mapping"] == "crs_" and x.twice.encoding["grid_mapping"] == "crs"'
map twice m2.nc:/v more.h5:/g/later --result 'f32[3,4]' --rows 3:6 --into
check "and what stands along other rows" opens more.h5 g 'assert x.site_.dims == ("time_",) and x.site_[0] == "säule 23" and x.later.dims[0] == "time_"'
map twice north.nc:/v more.h5:/g/north --result 'f32[3,4]' --rows 3:15:4 --into
check "and the same along other ones" opens more.h5 g 'assert x.lat_.dims == ("y_", "x") and x.y_[0] == 100 and x.lat.dims == ("y", "x")'
cp m.h5 over.h5
map twice m1.nc:/v over.h5:/g/twice --result 'f32[3,4]' --rows 3:15:4 --overwrite
check "a file with nothing else may be overwritten by them" cmp m.h5 over.h5
map twice m1.nc:/v without.h5:/twice --result 'f32[3,4]' --keep nothing
check "none, if that is wanted" is m.h5 g 'w = h5py.File("without.h5"); assert set(w) == {"twice", "twice.done"} and "grid_mapping" not in w["twice"].attrs'

# 7. Killed, joined, compressed, written once more.
map mean '[bc].nc:/air' whole.h5:/mean
killed_at 20 "$bin/mpmap" map kept.so:mean '[bc].nc:/air' killed.h5:/mean --chunk 2 --quiet
check "a killed map leaves a part with coordinates" /usr/bin/python3 -c "
import h5py
with h5py.File('killed.h5.part', 'r') as f: assert list(f['time'][:3]) == [75, 76.5, 78] and 0 < sum(f['mean.done'][()]) < 50"
map mean '[bc].nc:/air' killed.h5:/mean --resume
check "from which the same file is made" cmp whole.h5 killed.h5
joined 2 joined.h5 "$bin/mpmap" map kept.so:mean '[bc].nc:/air' joined.h5:/mean --chunk 2 --quiet
check "by joined runs, too" cmp whole.h5 joined.h5
map mean '[bc].nc:/air' packed.h5:/mean --compress gzip
check "compressed results have them" is packed.h5 "" '
assert raw["mean"].compression == "gzip" and n.array_equal(x.time, n.arange(50, 100) * 1.5) and x["mean"].dims == ("time",)'
cp whole.h5 again.h5
map mean '[bc].nc:/air' again.h5:/mean --overwrite
check "a file with nothing else may be overwritten" cmp whole.h5 again.h5
cp both.h5 again.h5
map both a.nc:/air again.h5:/a/both --overwrite
check "one with several results, too" [ "$status" = 0 ]
/usr/bin/python3 -c "
import h5py
with h5py.File('again.h5', 'a') as f: f['a/mine'] = 1"
map both a.nc:/air again.h5:/a/both --overwrite
check "but not with another's" says 'again.h5 also holds /a/mine, which would be lost'
check "no such word" [ "$(map mean a.nc:/air none.h5:/mean --keep all; echo $status)" = 2 ]
report
