#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""copies.py make PHOTOGRAPHS OUT COUNT: copies of photographs, changed as people change them; the kind of change is in the
name.   copies.py judge WEB: precision and recall of the groups, and of each kind."""
import os
import random
import sys

from PIL import Image, ImageEnhance, ImageOps

# What must be found (re-encodings and resizes), and what is asked beyond.
MUST = {"original", "jpeg90", "jpeg60", "jpeg30", "png", "webp50", "half", "third", "width640", "width200"}
KINDS = {
    "jpeg90": lambda image: (image, "JPEG", {"quality": 90}),
    "jpeg60": lambda image: (image, "JPEG", {"quality": 60}),
    "jpeg30": lambda image: (image, "JPEG", {"quality": 30}),
    "png": lambda image: (image, "PNG", {"compress_level": 1}),
    "webp50": lambda image: (image, "WEBP", {"quality": 50, "method": 0}),
    "half": lambda image: (image.resize((image.width // 2, image.height // 2), Image.BICUBIC), "JPEG", {"quality": 85}),
    "third": lambda image: (image.resize((image.width // 3, image.height // 3), Image.LANCZOS), "JPEG", {"quality": 75}),
    "width640": lambda image: (image.resize((640, max(1, image.height * 640 // image.width))), "JPEG", {"quality": 80}),
    "width200": lambda image: (image.resize((200, max(1, image.height * 200 // image.width))), "JPEG", {"quality": 80}),
    "turn90": lambda image: (image.transpose(Image.ROTATE_90), "JPEG", {"quality": 85}),
    "turn180": lambda image: (image.transpose(Image.ROTATE_180), "JPEG", {"quality": 85}),
    "mirror": lambda image: (ImageOps.mirror(image), "JPEG", {"quality": 85}),
    "crop98": lambda image: (crop(image, 0.98), "JPEG", {"quality": 85}),
    "crop95": lambda image: (crop(image, 0.95), "JPEG", {"quality": 85}),
    "crop80": lambda image: (crop(image, 0.80), "JPEG", {"quality": 85}),
    "bright": lambda image: (ImageEnhance.Brightness(image).enhance(1.06), "JPEG", {"quality": 85}),
}


def crop(image, part):
    """A part of the width and the height, from the middle."""
    x, y = round(image.width * (1 - part) / 2), round(image.height * (1 - part) / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def pieces(folder, generator, count):
    """Different photographs: the files of the folder, and parts of them that do not overlap, which look alike in their
    colours and are no duplicates."""
    found = []
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(root, name)
            if name.endswith((".jpg", ".png")) and not os.path.islink(path) and "screenshot" not in name:
                with Image.open(path) as image:
                    if min(image.size) >= 1000 and image.width > image.height:
                        found.append(path)
    # One of each folder: others may be the same picture in another shape.
    one = list({os.path.relpath(path, folder).split(os.sep)[0]: path for path in found}.values())
    for path in one:
        with Image.open(path) as image:
            image.draft("RGB", (2500, 2500))
            image = image.convert("RGB")
            image.info.clear()  # a profile that only some of the formats keep
        w, h = image.width // 3, image.height // 3
        boxes = [(x * w, y * h, x * w + w, y * h + h) for x in range(3) for y in range(3)]
        for number, box in enumerate(generator.sample(boxes, 6)):
            piece = image.crop(box)
            piece.thumbnail((1000, 1000))
            # A piece of plain sky is like any other.
            if sum(piece.convert("L").resize((64, 64)).histogram()[i] > 40 for i in range(256)) > 25:
                yield piece
        image.thumbnail((1000, 1000))
        yield image


def make(folder, out, count):
    generator = random.Random(11)
    os.makedirs(out)
    made = 0
    all_pieces = list(pieces(folder, generator, count))
    generator.shuffle(all_pieces)
    per = len(KINDS)
    for number, image in enumerate(all_pieces):
        if made >= count:
            break
        image.save(os.path.join(out, "%04d-original.jpg" % number), "JPEG", quality=95)
        for kind, change in KINDS.items():
            changed, form, options = change(image)
            changed.save(os.path.join(out, "%04d-%s.%s" % (number, kind, form.lower())), form, **options)
            made += 1
    print("%d copies of %d different photographs, each in %d ways" % (made, number, per))


def judge(web):
    import h5py
    import numpy as np
    with h5py.File(os.path.join(web, "photos.h5")) as file:
        paths = [path.decode() for path in file["photos/path"][:]]
        groups = file["photos/group"][:]
    numbers = np.array([int(os.path.basename(path).split("-")[0]) for path in paths])
    kinds = [os.path.basename(path).split("-")[1].split(".")[0] for path in paths]
    same = (groups[:, None] == groups[None, :]) & (groups[:, None] >= 0)
    truth = numbers[:, None] == numbers[None, :]
    upper = np.triu(np.ones_like(truth), 1)
    found = same & upper
    print("  precision of all pairs: %.4f (%d pairs, %d wrong)" % ((found & truth).sum() / max(1, found.sum()), found.sum(),
                                                                  (found & ~truth).sum()))
    must = np.array([kind in MUST for kind in kinds])
    both = must[:, None] & must[None, :] & upper
    recall = (found & truth & both).sum() / (truth & both).sum()
    precision = (found & truth & both).sum() / max(1, (found & both).sum())
    print("  re-encodings and resizes: precision %.4f, recall %.4f" % (precision, recall))
    original = {number: at for at, number in enumerate(numbers) if kinds[at] == "original"}
    for kind in KINDS:
        hits = [same[at, original[numbers[at]]] for at in range(len(paths)) if kinds[at] == kind]
        print("  %-9s recall %.4f of %d" % (kind, np.mean(hits), len(hits)))
    return 0 if precision >= 0.99 and recall >= 0.95 else 1


if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    sys.exit(judge(sys.argv[2]))
