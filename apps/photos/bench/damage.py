#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""damage.py PHOTOGRAPHS OUT COUNT: copies of photographs, as JPEG, PNG, WebP and TIFF, with bytes changed, cut off, doubled or
put in from elsewhere; and headers that lie.   damage.py WEB: each is an image with all its outputs, or a row with its cause."""
import io
import os
import random
import struct
import sys
import zlib

from PIL import Image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def lying_png(width, height, interlaced, data):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def hostile():
    black = zlib.compress(b"\0" * 1000000, 9)
    yield "small_bomb.png", lying_png(30000, 30000, 0, black)
    yield "interlaced_bomb.png", lying_png(30000, 30000, 1, black)
    yield "huge.png", lying_png(2**31 - 1, 2**31 - 1, 0, black)
    yield "gif.jpg", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + b"\0" * 6 + b",\0\0\0\0" * 1000
    yield "empty.jpg", b""
    yield "zeros.tif", b"II*\0" + b"\0" * 1000
    # A directory of TIFF whose next one is itself.
    yield "circle.tif", b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 256, 4, 1, 7) + struct.pack("<I", 8)
    yield "svg.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


def encoded(path, kind, generator):
    with Image.open(path) as image:
        image = image.convert("RGB")
        image.thumbnail((generator.choice([300, 900]),) * 2)
        out = io.BytesIO()
        image.save(out, kind)
        return out.getvalue()


def mutate(data, generator):
    data = bytearray(data)
    kind = generator.randrange(5)
    if kind == 0:  # some bytes are others
        for _ in range(generator.choice([1, 10, 200])):
            data[generator.randrange(len(data))] = generator.randrange(256)
    elif kind == 1:  # the end is missing
        del data[generator.randrange(len(data)):]
    elif kind == 2:  # a part is there twice
        at, size = generator.randrange(len(data)), generator.randrange(1, 4000)
        data[at:at] = data[at:at + size]
    elif kind == 3:  # a part is missing
        at = generator.randrange(len(data))
        del data[at:at + generator.randrange(1, 4000)]
    else:  # the header
        for _ in range(8):
            data[generator.randrange(min(len(data), 64))] = generator.choice([0, 255, 127, 128, generator.randrange(256)])
    return bytes(data)


def make(folder, out, count):
    generator = random.Random(7)
    photographs = []
    for root, _, names in os.walk(folder):
        photographs += [os.path.join(root, name) for name in names if name.endswith((".jpg", ".png"))
                        and not os.path.islink(os.path.join(root, name))]
    photographs = generator.sample(sorted(photographs), min(12, len(photographs)))
    whole = [(kind, encoded(path, kind, generator)) for path in photographs for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    os.makedirs(out)
    files = list(hostile())
    while len(files) < count:
        kind, data = generator.choice(whole)
        files.append(("%03d.%s" % (len(files), kind.lower()), mutate(data, generator)))
    for name, data in files:
        with open(os.path.join(out, name), "wb") as file:
            file.write(data)


def judge(web):
    import h5py
    good = bad = 0
    causes = {}
    with h5py.File(os.path.join(web, "photos.h5")) as file:
        for name, error in zip(file["photos/name"][:], file["photos/error"][:]):
            there = [os.path.exists(os.path.join(web, size, name.decode() + ".jpg")) for size in
                     ("2048", "1024", "512", "256", "128")] if name else []
            if error:
                assert not name
                cause = error.decode(errors="replace").split(":")[0]
                causes[cause] = causes.get(cause, 0) + 1
                bad += 1
            else:
                assert all(there) and len(there) == 5, name
                good += 1
    print("  %d are images with all outputs, %d are rows with a cause:" % (good, bad))
    for cause, number in sorted(causes.items(), key=lambda item: -item[1]):
        print("  %5d  %s" % (number, cause))
    left = [name for _, _, names in os.walk(web) for name in names if name.endswith(".part")]
    assert not left, left


if len(sys.argv) == 4:
    make(sys.argv[1], sys.argv[2], int(sys.argv[3]))
else:
    judge(sys.argv[1])
