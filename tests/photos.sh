#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap photos on a library that PIL has made: each row, output and group is what PIL and numpy say of the original;
# broken and hostile files are rows with their causes; originals stay as they are; what was recorded is not done
# again, also after kill -9; and three nodes make the same. A third argument is how often runs are killed at random
# besides (0). Last line: "N passed, N failed".
set -uo pipefail

kills=${3:-0}

. "$(dirname "${BASH_SOURCE[0]}")/support/mpirun.sh"
. "$(dirname "${BASH_SOURCE[0]}")/support/data_sets.sh"
needs_program mpmap-photos
if ! /usr/bin/python3 -c 'import h5py, numpy, PIL' 2>/dev/null; then
    echo "skipped, because python3 has no h5py, numpy or PIL"
    exit 0
fi

# photos ARGUMENT…: sets $status.
photos()
{
    timeout 300 "$bin/mpmap" photos "$@" >out 2>err </dev/null
    status=$?
}
# json NAME: of the summary in out.
json() { /usr/bin/python3 -c 'import json, sys; print(json.load(open("out"))[sys.argv[1]])' "$1"; }
# summary NAME=VALUE…: of the summary in out.
summary()
{
    local pair
    for pair; do [ "$(json "${pair%%=*}")" = "${pair#*=}" ] || return 1; done
}
# refused STATUS TEXT: with one line on stderr.
refused() { [ "$status" -eq "$1" ] && [ "$(wc -l <err)" -eq 1 ] && [[ $(cat err) == "mpmap-photos: "*"$2"* ]]; }
prints() { [ "$status" -eq "$1" ] && [[ $(cat err) == *"$2"* ]]; }
# python FILE ARGUMENT…
python() { /usr/bin/python3 "$@" >out 2>err; }

cat >made.py <<'P'
import io, os, random, struct, sys, zlib
import numpy as np
from PIL import Image, ImageFilter

def scene(seed, width, height):
    """Something like a photograph: fields of colour, and fine detail."""
    random = np.random.default_rng(seed)
    rough = Image.fromarray(random.integers(0, 256, (7, 9, 3), "u1")).resize((width, height), Image.BICUBIC)
    fine = random.normal(0, 12, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(rough, float) + fine, 0, 255).astype("u1"))

def png(width, height, data, interlaced=0):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")

os.makedirs("library/deep/er")
os.chdir("library")
scene(1, 900, 600).save("plain.jpg", quality=92)
scene(2, 600, 900).save("deep/tall.png")
scene(3, 800, 600).save("deep/er/some.webp", quality=92)
scene(4, 700, 500).save("deep/er/scan.TIFF")
exif = Image.Exif()
exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Maker", "Maker M1"
exif[0x8769] = {0x9003: "2021:03:04 05:06:07"}
scene(5, 900, 600).save("turned.jpeg", quality=92, exif=exif)
scene(6, 800, 600).convert("L").save("grey.jpg", quality=92)
scene(7, 800, 600).convert("CMYK").save("print.jpg", quality=92)
clear = scene(8, 800, 600).convert("RGBA")
clear.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 800).astype("u1"), (600, 1))))
clear.save("clear.png")
Image.fromarray((np.asarray(scene(9, 640, 480).convert("L"), "u2") * 257)).save("sixteen.png")
scene(10, 100, 80).save("small.jpg", quality=92)
scene(11, 1200, 300).save("wide.png")
# Near-duplicates: two groups, one of them with a turn and a mirror image.
one = scene(12, 1000, 700)
one.save("one.png")
one.save("one_bad.jpg", quality=40)
one.resize((420, 294), Image.LANCZOS).save("one_small.webp", quality=80)
one.transpose(Image.ROTATE_90).save("one_turned.jpg", quality=85)
two = scene(13, 900, 600)
two.save("two.jpg", quality=92)
two.transpose(Image.FLIP_LEFT_RIGHT).save("deep/two mirrored.jpg", quality=85)
scene(14, 900, 600).save("sharp.jpg", quality=92)
scene(15, 900, 600).filter(ImageFilter.GaussianBlur(4)).save("soft.jpg", quality=92)
# Names.
for at, name in enumerate([b"with space.jpg", b"new\nline.jpg", b"bytes \xff\xfe.jpg", b"opt[shrink=8].jpg", b"-dash.jpg",
                           b"<script>alert(1)<\x2fscript>.jpg".replace(b"/", b"_"), b"'&\".jpg", b"n" * 251 + b".jpg"]):
    scene(20 + at, 300, 200).save(io.open(os.open(name, os.O_CREAT | os.O_WRONLY), "wb"), "JPEG")
os.makedirs("same")
scene(40, 300, 200).save("same/x.jpg")
scene(41, 300, 200).save("same/x.png")
os.makedirs("other/same")
scene(42, 300, 200).save("other/same/x.jpg")
os.symlink("..", "deep/loop")
os.symlink("../plain.jpg", "deep/link.jpg")
os.symlink("nowhere", "deep/nowhere_is_no_photograph")
os.mkfifo("pipe.jpg")
open("notes.txt", "w").write("no photograph\n")
# What is broken.
whole = open("plain.jpg", "rb").read()
open("cut.jpg", "wb").write(whole[:len(whole) // 3])
open("empty.png", "wb")
open("text.jpg", "w").write("hello\n")
open("<script>alert(2)<_script>.jpg", "w").write("hello\n")
open("really.jpg", "wb").write(b"GIF89a\1\0\1\0\0\0\0;")
open("vector.png", "w").write('<svg xmlns="http://www.w3.org/2000/svg"/>')
open("bomb.png", "wb").write(png(30000, 30000, zlib.compress(b"\0" * 100000)))
open("huge.png", "wb").write(png(2**31 - 1, 2**31 - 1, zlib.compress(b"\0" * 1000)))
P
python made.py || { cat err; exit 1; }
cp library/plain.jpg named_without_suffix
find library -type f -exec sha256sum {} + -exec stat -c '%n %Y %s' {} + | sort >before

cat >judge.py <<'P'
import os, sys
import h5py, numpy as np
from PIL import Image, ImageOps
web, library = sys.argv[1].encode(), b"library"
sizes = (512, 256, 100)
with h5py.File(os.path.join(web, b"photos.h5")) as file:
    columns = {name: file["photos/" + name][:] for name in file["photos"]}
    pairs = np.array([file["duplicates/" + name][:] for name in ("first", "second", "distance", "turn")])
rows = {path: {name: column[at] for name, column in columns.items()} for at, path in enumerate(columns["path"])}
expected = [os.path.join(root, name) for root, _, names in os.walk(library) for name in names
            if name.lower().endswith((b".jpg", b".jpeg", b".png", b".webp", b".tiff")) and not name == b"pipe.jpg"
            and not os.path.islink(os.path.join(root, name))]
expected.append(b"named_without_suffix")
assert list(columns["path"]) == sorted(expected), set(columns["path"]) ^ set(expected)
broken = {b"cut.jpg": b"Premature end", b"empty.png": b"empty file", b"text.jpg": b"no JPEG", b"<script>alert(2)<_script>.jpg": b"no JPEG", b"really.jpg": b"47 49 46 38",
          b"vector.png": b"no JPEG", b"bomb.png": b"cannot be decoded", b"huge.png": b"cannot be decoded"}

def hash_of(image):
    """By numpy: the signs of the lowest frequencies of mean luminances."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.BOX), float)
    waves = np.cos(np.pi * np.outer(np.arange(8), np.arange(32) + 0.5) / 32) / 32
    found = waves @ grey @ waves.T > 0.25
    found[0, 0] = grey.mean() > 127.5
    return sum(int(bit) << at for at, bit in enumerate(found.ravel()))

names = set()
for path, row in rows.items():
    base = os.path.basename(path)
    if base in broken:
        assert broken[base] in row["error"] and not row["name"], (path, row["error"])
        continue
    assert not row["error"], (path, row["error"])
    assert row["file_size"] == os.stat(path).st_size and row["file_time"] == os.stat(path).st_mtime_ns, path
    image = ImageOps.exif_transpose(Image.open(path))
    assert (row["width"], row["height"]) == image.size, (path, row["width"], row["height"])
    assert row["format"].decode() == {"WEBP": "WebP"}.get(Image.open(path).format, Image.open(path).format), path
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) // 257).astype("u1"))
    grey_only, image = image.mode == "CMYK", image.convert("RGB")
    mean = np.asarray(image.resize((1, 1), Image.BOX)).ravel().astype(int)
    if not grey_only:  # colours of a print depend on whose profile is used
        assert abs(mean - row["mean_colour"]).max() <= 2, (path, mean, row["mean_colour"])
        cells = np.asarray(image.resize((4, 4), Image.BOX)).astype(int)
        assert abs(cells - row["colours"]).max() <= 3, path
        assert bin(int(row["hash"]) ^ hash_of(image)).count("1") <= 3, path
    name = row["name"].decode("ascii")
    assert name not in names and "/" not in name
    names.add(name)
    total = set()
    for size in sizes:
        output = os.path.join(web.decode(), str(size), name + ".jpg")
        total.add((os.stat(output).st_ino, os.stat(output).st_size))
        with Image.open(output) as made:
            scale = min(1, size / max(image.size))
            wanted = tuple(max(1, round(side * scale)) for side in image.size)
            assert max(abs(made.width - wanted[0]), abs(made.height - wanted[1])) <= 1, (path, made.size, wanted)
            assert made.format == "JPEG" and made.mode == "RGB" and not made.getexif(), path
            small = image.resize(made.size, Image.LANCZOS)
            difference = abs(np.asarray(small, int) - np.asarray(made, int)).mean()
            assert grey_only or difference < 7, (path, size, difference)
    assert row["output_bytes"] == sum(size for _, size in total), path
    assert row["sharpness"] > 0 and np.isfinite(row["sharpness"])
on_disk = {name for size in sizes for name in os.listdir(os.path.join(web.decode(), str(size)))}
assert on_disk == {name + ".jpg" for name in names}, on_disk ^ {name + ".jpg" for name in names}
turned = rows[b"library/turned.jpeg"]
assert (turned["date"], turned["camera"]) == (b"2021-03-04T05:06:07", b"Maker M1")
assert rows[b"library/plain.jpg"]["date"] == b""
assert rows[b"library/soft.jpg"]["sharpness"] < 0.2 * rows[b"library/sharp.jpg"]["sharpness"]
groups = {}
for path, row in rows.items():
    groups.setdefault(int(row["group"]), set()).add(os.path.basename(path))
del groups[-1]
wanted = [{b"one.png", b"one_bad.jpg", b"one_small.webp", b"one_turned.jpg"}, {b"two.jpg", b"two mirrored.jpg"},
          {b"plain.jpg", b"named_without_suffix"}]
assert sorted(map(sorted, groups.values())) == sorted(map(sorted, wanted)), groups
for first, second, distance, turn in pairs.T:
    assert columns["group"][first] == columns["group"][second] >= 0 and first < second and distance <= 8 and turn < 8
P

cat >pages.py <<'P'
import html.parser, os, sys, urllib.parse
web = sys.argv[1]
class Page(html.parser.HTMLParser):
    pictures = links = scripts = 0
    failed, names = "", set()
    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert tag in ("html", "meta", "title", "style", "h1", "h2", "p", "nav", "a", "b", "section", "small", "div", "img", "figure",
                       "figcaption", "span", "ul", "li", "dialog", "button", "script"), tag
        self.scripts += tag == "script"
        for name in ("href", "src"):
            address = urllib.parse.unquote(attributes.get(name) or "#")
            assert ":" not in address, address
            assert address.startswith("#") or os.path.exists(os.path.join(web, address)), address
        if tag == "img" and "src" in attributes:
            assert attributes["loading"] == "lazy" and attributes["alt"]
            self.pictures += 1
            self.names.add(attributes["alt"])
    def handle_data(self, text):
        self.failed += text
page = Page()
page.feed(open(os.path.join(web, "index.html"), encoding="utf-8").read())
assert page.scripts == 1 and page.pictures == int(sys.argv[2]), (page.scripts, page.pictures)
assert {"<script>alert(1)<_script>.jpg", "'&\".jpg", "new\\x0aline.jpg", "bytes \\xff\\xfe.jpg"} <= page.names, page.names
for name in ("<script>alert(2)<_script>.jpg", "cut.jpg", "Premature end", "47 49 46 38"):
    assert name in page.failed, name
P

cat >same.py <<'P'
import sys
import h5py, numpy as np
with h5py.File(sys.argv[1]) as a, h5py.File(sys.argv[2]) as b:
    def compare(name, item):
        if isinstance(item, h5py.Dataset):
            assert np.array_equal(item[()], b[name][()]), name
    a.visititems(compare)
P

sizes=(--sizes "512,100,256,512")
library=(library ./named_without_suffix library/deep)
# A file that is named keeps the name that it was given.
library[1]=named_without_suffix
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet
check "the run has failed files, and says so" [ "$status" -eq 1 ]
check "the summary counts them" summary photographs=39 done=39 earlier=0 failed=8 groups=3 duplicates=8 unreadable=0
check "each failed file is listed with its cause" [ "$(wc -l <err)" -eq 8 ]
check "rows, outputs and groups are what PIL and numpy say" python judge.py web
check "the gallery shows all, and nothing of a name is markup" python pages.py web 39
find library -type f -exec sha256sum {} + -exec stat -c '%n %Y %s' {} + | sort >after
check "originals are as they were" cmp before after
check "nothing is left over" [ -z "$(find web -name '*.part')" ]

find web -name '*.jpg' -exec stat -c '%n %y %i' {} + | sort >outputs
photos "${library[@]}" --out web "${sizes[@]}" --json
check "without --resume nothing is done twice" refused 1 "39 photographs of an earlier run: give --resume"
photos "${library[@]}" --out web --sizes 512,256 --resume
check "other sizes do not go on with it" refused 1 "made other outputs"
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume
check "--resume has nothing to do" summary done=0 earlier=39 failed=8 groups=3
find web -name '*.jpg' -exec stat -c '%n %y %i' {} + | sort >outputs.after
check "and touches no output" cmp outputs outputs.after

# What has changed is done again: a new picture of an old name, an output that is gone, a repaired file.
cp library/sharp.jpg kept.jpg
cp library/soft.jpg library/sharp.jpg
rm "$(find web/256 -name 'tall-*')"
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume
check "a changed original and a lost output are done again" summary done=2 earlier=37 failed=8 groups=4
cp kept.jpg library/sharp.jpg
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume --retry-failed
check "failed files are tried again if that is asked for" summary done=9 earlier=30 failed=8
touch -d @"$(awk '$1 == "library/sharp.jpg" && NF == 3 { print $2 }' before)" library/sharp.jpg
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume
check "then all is as at first" python judge.py web

# An earlier run whose last row was cut.
cp web/photos.journal whole.journal
truncate -s -10 web/photos.journal
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume
check "a row that was cut is done again" summary done=1 earlier=38
head -c 300 /dev/urandom >>web/photos.journal
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume
check "what is behind the last whole row is cut off" summary done=0 earlier=39
printf '\xff' | dd of=web/photos.journal bs=1 seek=$(($(stat -c %s web/photos.journal) - 200)) conv=notrunc status=none
photos "${library[@]}" --out web "${sizes[@]}" --json --quiet --resume
check "a row whose bytes have changed is done again" summary done=1 earlier=38
printf 'something else\n' >web/photos.journal
photos "${library[@]}" --out web "${sizes[@]}" --resume
check "a file that is no journal is left alone" refused 1 "is no journal of this program"
check "to the byte" [ "$(cat web/photos.journal)" = "something else" ]
cp whole.journal web/photos.journal

# The same on three nodes. The launcher has its own word to say of an exit status of 1.
MPMAP_RANKS_PER_NODE=1 timeout 300 mpirun -n 3 "$bin/mpmap-photos" "${library[@]}" --out nodes "${sizes[@]}" --quiet >out 2>err </dev/null
# What judge.py has found right, to the byte.
are_same() { local size; for size in 512 256 100; do diff -r "web/$size" "$1/$size" || return 1; done; }
check "three nodes make the same outputs" are_same nodes
check "and the same catalogue" python same.py web/photos.h5 nodes/photos.h5

# kill_at BYTES WHO [LAUNCHER…]: when the journal of a run is as long as that, some of it is killed with -9: all, main, which
# the others must not outlive, or its workers, and main when it has recorded more.
rows_in() { [ "$(stat -c %s "$1/photos.journal" 2>/dev/null || echo 0)" -ge "$2" ] || ! kill -0 "${3:-$$}" 2>/dev/null; }
kill_named() { kill -9 $(named "$1" $(tree "$2")) 2>/dev/null; }
kill_at()
{
    local pid bytes=$1 who=$2
    shift 2
    setsid "$@" "$bin/mpmap-photos" "${library[@]}" --out killed "${sizes[@]}" --resume --quiet >/dev/null 2>&1 </dev/null &
    pid=$!
    wait_for 60 rows_in killed "$bytes" $pid
    case $who in
        all) kill -9 $(tree "$pid") 2>/dev/null ;;
        workers)
            kill_named mpmap-worker $pid
            wait_for 60 rows_in killed $((bytes + 1500)) $pid
            ;;&
        *) kill_named mpmap-photos $pid ;;
    esac
    wait "$pid" 2>/dev/null
    wait_for 60 eval '! pgrep -s "$pid" >/dev/null'
    check "nothing is left of a run whose $who were killed" [ $? = 0 ]
}
outputs() { find killed -name '*.jpg' -exec stat -c '%n %y %i' {} + 2>/dev/null | sort; }
# What a run that goes on must not have done: touched outputs of more photographs than it says.
touched() { comm -23 outputs outputs.after | sed 's/\.jpg .*//; s,.*/,,' | sort -u | wc -l; }
goes_on()
{
    outputs >outputs
    photos "${library[@]}" --out killed "${sizes[@]}" --resume --json --quiet
    check "after kill -9 it goes on" [ "$status" = 1 ] # some files are broken
    redone=$(json done 2>/dev/null || echo 40)
    outputs >outputs.after
    check "all is done by then" [ "$((redone + $(json earlier 2>/dev/null || echo 40)))" -eq 39 ]
    check "nothing recorded was done twice" [ "$(touched)" -le "$redone" ]
    check "and the end is the same" are_same killed
    check "with the same catalogue" python same.py web/photos.h5 killed/photos.h5
    check "and nothing left over" [ -z "$(find killed -name '*.part')" ]
}
two_nodes=(env MPMAP_RANKS_PER_NODE=1 OMPI_MCA_btl=self,tcp mpirun -n 2)
kill_at 1 all
kill_at 1500 main "${two_nodes[@]}"
kill_at 4000 workers
goes_on
check "some of it was recorded before" [ "$redone" -lt 39 ]
victims=(all main workers)
for ((kill = 0; kill < kills; kill++)); do
    rm -rf killed
    kill_at $((RANDOM * 18000 / 32768)) ${victims[RANDOM % 3]}
    kill_at $((RANDOM * 18000 / 32768)) ${victims[RANDOM % 3]} "${two_nodes[@]}"
    goes_on
done

# Limits: a picture that must be whole in memory, and one that takes long.
cat >large.py <<'P'
import os, sys
sys.argv = ["made.py"]
source = open("made.py").read().split("os.makedirs(")[0]
exec(source)
os.makedirs("large")
# 11 MB that take half a minute to decode: 600 times the same compressed block of 100 black rows.
block = zlib.compressobj(9, zlib.DEFLATED, -15)
block = block.compress(b"\0" * 100 * (1 + 3 * 60000)) + block.flush(zlib.Z_FULL_FLUSH)
rows = 60000 * (1 + 3 * 60000)
data = b"\x78\xda" + 600 * block + b"\x03\0" + struct.pack(">I", (rows % 65521) << 16 | 1)
open("large/long.png", "wb").write(png(60000, 60000, data))
scene(1, 300, 200).save("large/good.jpg")
Image.fromarray(np.zeros((5000, 5000, 3), "u1")).save("large/whole.jpg", quality=50, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0",
                                                      progressive=True)
P
python large.py || cat err
photos large --out limited --sizes 2048 --timeout 3 --json --quiet
check "a file that takes too long costs its row" prints 1 "'large/long.png': it ran past its 3 s (2 attempts)"
check "and no other" [ "$(ls limited/2048 | grep -c '^good-')" = 1 ]
rm large/long.png
photos large --out limited --sizes 4900 --memory 30M --restart --attempts 1 --quiet
check "a file that needs too much memory costs its row" prints 1 "'large/whole.jpg': it needed more than 30 MiB"

# All that a camera may say of how it was held: eight files of the same picture, which is upright afterwards.
cat >turns.py <<'P'
import glob, os, sys
import h5py, numpy as np
from PIL import Image
exec(open("made.py").read().split("os.makedirs(")[0])
upright = scene(50, 300, 200)
# How each is stored, so that its orientation of EXIF makes it upright.
stored = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE, 6: Image.ROTATE_90,
          7: Image.TRANSVERSE, 8: Image.ROTATE_270}
if sys.argv[1] == "make":
    os.makedirs("turns")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = upright.transpose(stored[orientation]) if orientation > 1 else upright
        picture.save("turns/%d.jpg" % orientation, quality=95, exif=exif)
else:
    with h5py.File("upright/photos.h5") as file:
        photos = {name: file["photos/" + name][:] for name in ("path", "width", "height", "group")}
    assert len(photos["path"]) == 8 and set(photos["width"]) == {300} and set(photos["height"]) == {200}, photos
    assert set(photos["group"]) == {0}, photos
    small = np.asarray(upright.resize((150, 100), Image.LANCZOS), int)
    made = glob.glob("upright/150/*.jpg")
    assert len(made) == 8, made
    for name in made:
        assert Image.open(name).size == (150, 100), name
        assert abs(np.asarray(Image.open(name), int) - small).mean() < 7, name
P
python turns.py make
photos turns --out upright --sizes 150 --quiet
check "a picture is upright whichever of the 8 orientations it has" python turns.py judge

# Forms that are rarer: each comes out as PIL shows the first picture of it.
cat >odd.py <<'P'
import os, sys
import h5py, numpy as np
from PIL import Image, ImageCms
exec(open("made.py").read().split("os.makedirs(")[0])
if sys.argv[1] == "make":
    os.makedirs("odd")
    os.chdir("odd")
    picture, other = scene(60, 800, 600), scene(61, 800, 600)
    smaller = [picture.resize((800 >> n, 600 >> n), Image.LANCZOS) for n in (1, 2, 3)]
    picture.save("pyramid.tif", save_all=True, append_images=smaller)
    picture.save("pages.tif", save_all=True, append_images=[other])
    picture.save("animated.webp", quality=92, save_all=True, append_images=[other])
    picture.save("progressive.jpg", quality=92, progressive=True)
    exif = Image.Exif()
    exif[0x0112] = 77
    picture.save("turned_by_77.jpg", quality=92, exif=exif)
    colours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.convert("L").save("grey_with_a_profile_of_colours.jpg", quality=92, icc_profile=colours)
    picture.save("profile_of_garbage.jpg", quality=92, icc_profile=b"garbage" * 50)
    picture.convert("LA").save("grey_with_alpha.png")
    picture.convert("1").save("bilevel.tif", compression="group4")
    picture.convert("P").save("palette.png", transparency=3)
else:
    with h5py.File("rare/photos.h5") as file:
        photos = {name: file["photos/" + name][:] for name in ("path", "name", "error", "width")}
    assert len(photos["path"]) == 10, photos["path"]
    for path, name, error, width in zip(*(photos[column] for column in ("path", "name", "error", "width"))):
        assert not error and width == 800, (path, error, width)
        for side in (700, 400):
            made = Image.open("rare/%d/%s.jpg" % (side, name.decode()))
            wanted = Image.open(path).convert("RGBA")
            white = Image.new("RGBA", wanted.size, "white")
            white.alpha_composite(wanted)
            wanted = white.convert("RGB").resize((side, side * 3 // 4), Image.LANCZOS)
            assert made.size == wanted.size, (path, made.size)
            difference = abs(np.asarray(made.convert("RGB"), int) - np.asarray(wanted, int)).mean()
            assert difference < 12, (path, side, difference)
P
python odd.py make || cat err
photos odd --out rare --sizes 700,400 --quiet
check "pictures of rarer forms are what PIL shows" python odd.py judge

# Outputs that are WebP, with what is transparent.
photos library/clear.png --out clear --sizes 400 --format webp --quiet
check "a WebP is transparent where its original is" python -c 'import glob
from PIL import Image
image = Image.open(glob.glob("clear/400/*.webp")[0])
assert image.mode == "RGBA" and image.size == (400, 300) and image.getchannel("A").getextrema()[0] < 5'

# Lists, words and mistakes.
printf 'library/one.png\nlibrary/two.jpg\n\nlibrary/gone.jpg\n' >list
photos @list --out listed --sizes 64 --json --quiet
check "a list may name a file that is gone" summary photographs=2 unreadable=1 failed=0
check "which is a failure" prints 1 "'library/gone.jpg' cannot be read: No such file"
printf 'library/new\nline.jpg\0library/one.png' >list
photos @list --out listed --sizes 64 --json --quiet --restart
check "a list may have null bytes" summary photographs=2 unreadable=0
photos library/one.png --out library/deep/er/web --sizes 64 --quiet
photos library/deep/er --out library/deep/er/web --sizes 64 --json --quiet --resume
check "the folder of outputs is not walked" summary photographs=2 failed=0
rm -r library/deep/er/web
photos library/other --out listed/web --out . --sizes 64 --quiet --workers 1
check "one worker is enough" [ "$status" -eq 0 ]
photos
check "no folder" refused 2 "no folder or file is given"
photos library
check "no --out" refused 2 "--out is missing"
photos nowhere --out new
check "a folder that is not there" refused 1 "'nowhere' cannot be read"
photos /dev/null --out new
check "what is neither a file nor a folder" prints 1 "'/dev/null' is neither a file nor a folder"
photos library --out web --sizes 100,
check "sizes that are none" refused 2 "--sizes is '100,'"
photos library --out web --sizes 0
check "a size of 0" refused 2 "--sizes is '0'"
photos library --out web --format gif
check "a format that is none" refused 2 "must be jpeg or webp"
photos library --out web --resume --restart
check "--resume and --restart" refused 2 "give only one"
photos library --out web --retry-failed
check "--retry-failed alone" refused 2 "give --resume with it"
photos library --out web --quality 101
check "a quality above 100" refused 2 "from 1 to 100"
photos library/one.png --out /proc/none --quiet
check "a folder that cannot be made" prints 1 "cannot be made"
mkdir -p full && ln -s nowhere full/64
printf 'library/one.png\nlibrary/two.jpg' >list
photos @list --out full --sizes 64 --quiet
check "outputs that cannot be written end the run" refused 1 "cannot be written to 'full': No such file or directory; --resume"
rm full/64
photos @list --out full --sizes 64 --quiet --json --resume
check "and are no fault of the photographs" summary photographs=2 done=2 earlier=0 failed=0
mkdir tiny && /usr/bin/python3 -c 'from PIL import Image
for at in range(1100):
    Image.new("RGB", (40, 30), (at % 256, at // 256 * 60, 90)).save("tiny/%04d.png" % at)'
photos tiny --out pages --sizes 32 --quiet
check "many photographs have several pages" [ "$(grep -c '<a data-p' pages/page-2.html)" -eq 100 ]
photos tiny/0001.png --out pages --sizes 32 --quiet --resume
check "which go when there are fewer" [ ! -e pages/page-2.html ]
flock -n web/photos.journal -c "timeout 300 '$bin/mpmap-photos' library --out web --resume" >out 2>err </dev/null
status=$?
check "two runs in one folder" refused 1 "another run is at work on 'web'"

# Drained: those at work come to their end, the rest is left. The run comes behind whoever is to drain it.
mkdir many
for ((i = 0; i < 150; i++)); do cp library/plain.jpg "many/$i.jpg"; done
nice -n 19 "$bin/mpmap-photos" many --out drained --sizes 600 --quiet --json >out 2>err </dev/null &
pid=$!
wait_for 60 rows_in drained 1000
kill -TERM "$pid"
wait "$pid"
status=$?
count "a drained run says so by its status" $((status != 75))
check "and in its summary" summary drained=True failed=0
recorded=$(json done)
photos many --out drained --sizes 600 --quiet --json --resume
check "and goes on where it ended" summary drained=False photographs=150 "earlier=$recorded" groups=1 duplicates=150
check "equal pictures have a pair each" python -c 'import h5py
assert h5py.File("drained/photos.h5")["duplicates/first"].shape == (149,)'
report
