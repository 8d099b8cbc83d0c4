/* SPDX-License-Identifier: BSD-3-Clause */
/* The last * is the only one that is ever tried again, so there is no recursion and no exponential time. */
#include "pattern.h"

bool pattern_matches(const char *pattern, size_t length, const char *text, bool is_whole)
{
    const char *end = pattern + length, *star = NULL, *again = text;

    for (;;) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            again = text;
        } else if (pattern == end && (!is_whole || !*text)) {
            return true;
        } else if (pattern < end && *text && *pattern == *text) {
            pattern++;
            text++;
        } else if (star && *again) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
}
