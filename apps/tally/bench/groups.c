/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the file G1_N_K_0_0 of db-benchmark: N rows of nine columns, of which three have K values, and two N/K. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252;

static uint64_t draw(uint64_t most)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % most + 1;
}

/* From 0 to 100, with six decimals at most, as R prints it. */
static const char *make_number(char *text, size_t size)
{
    uint64_t number = draw(100000000) - 1;
    int length = snprintf(text, size, "%d.%06d", (int)(number / 1000000), (int)(number % 1000000));

    while (text[length - 1] == '0')
        text[--length] = '\0';
    if (text[length - 1] == '.')
        text[length - 1] = '\0';
    return text;
}

int main(int argc, char **argv)
{
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000, groups = 100, many = rows / groups;
    char text[32];

    puts("id1,id2,id3,id4,id5,id6,v1,v2,v3");
    for (uint64_t row = 0; row < rows; row++) {
        uint64_t id[6] = {draw(groups), draw(groups), draw(many), draw(groups), draw(groups), draw(many)};

        printf("id%03d,id%03d,id%010d,%d,%d,%d,%d,%d,%s\n", (int)id[0], (int)id[1], (int)id[2], (int)id[3],
               (int)id[4], (int)id[5], (int)draw(5), (int)draw(15), make_number(text, sizeof text));
    }
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
