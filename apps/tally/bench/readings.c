/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints N rows "name;12.3" of the kind of the One Billion Row Challenge: 413 names, temperatures from -99.9 to
 * 99.9. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES 413

static uint64_t state = 88172645463325252;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

static void make_name(char *name)
{
    size_t length = 3 + draw(12);

    for (size_t i = 0; i < length; i++)
        name[i] = (char)((i ? 'a' : 'A') + (int)draw(26));
    name[length] = '\0';
}

int main(int argc, char **argv)
{
    long rows = argc > 1 ? atol(argv[1]) : 10000000;
    char names[NAMES][16];
    int means[NAMES]; /* in tenths, as all temperatures */

    for (int i = 0; i < NAMES; i++) {
        make_name(names[i]);
        means[i] = (int)draw(400) - 50;
    }
    for (long row = 0; row < rows; row++) {
        int name = (int)draw(NAMES), tenths = means[name];

        for (int i = 0; i < 4; i++)
            tenths += (int)draw(171) - 85;
        tenths = tenths > 999 ? 999 : tenths < -999 ? -999 : tenths;
        printf("%s;%s%d.%d\n", names[name], tenths < 0 ? "-" : "", abs(tenths) / 10, abs(tenths) % 10);
    }
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
