# SPDX-License-Identifier: BSD-3-Clause
"""Makes a large sparse set of Debian's documents: paragraphs of the kernel's documentation, each with the section that
it is from; the ten largest sections. A paragraph is a bag of words and of pairs of words, hashed to 2^18 features.
    texts.py FOLDER OUT.svm ROWS"""
import collections
import html
import os
import re
import sys
import zlib

folder, out, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
rows = []
for place, folders, names in sorted(os.walk(folder)):
    for name in sorted(names):
        section = os.path.relpath(place, folder).split(os.sep)[0]
        if not name.endswith(".html") or section == ".":
            continue
        text = open(os.path.join(place, name), encoding="utf-8", errors="replace").read()
        for part in re.findall(r"<(?:p|li|dd|pre)[ >](.*?)</(?:p|li|dd|pre)>", text, re.S):
            words = re.findall(r"[a-z_]{2,}", html.unescape(re.sub(r"<[^>]*>", " ", part)).lower())
            if len(words) >= 5:
                rows.append((section, words))
largest = [name for name, _ in collections.Counter(section for section, _ in rows).most_common(10)]
rows = [(largest.index(section) + 1, words) for section, words in rows if section in largest]
step = max(1, len(rows) / most)
with open(out, "w") as file:
    for i in range(min(most, len(rows))):
        label, words = rows[int(i * step)]
        counts = {}
        for word in words + [a + " " + b for a, b in zip(words, words[1:])]:
            index = zlib.crc32(word.encode()) % (1 << 18) + 1
            counts[index] = counts.get(index, 0) + 1
        length = sum(c * c for c in counts.values()) ** 0.5
        file.write("%d %s\n" % (label, " ".join("%d:%.5g" % (k, counts[k] / length) for k in sorted(counts))))
print("%d rows of %d, sections %s" % (min(most, len(rows)), len(rows), " ".join(largest)))
