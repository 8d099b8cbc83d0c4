/* SPDX-License-Identifier: BSD-3-Clause */
/* The limit: what a loop in C that knows the file takes, over its bytes in memory, in two threads. It trusts the
 * file. */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SLOTS   4096
#define THREADS 2

struct slot {
    char name[40];
    uint32_t length;
    int least, most; /* in tenths */
    int64_t sum;
    uint64_t count;
};

struct part {
    const char *begin, *end;
    struct slot slots[SLOTS];
};

static inline struct slot *find(struct part *part, const char *name, uint32_t length, uint32_t hash)
{
    uint32_t at = (hash ^ (hash >> 15)) % SLOTS;
    struct slot *slot = &part->slots[at];

    while (slot->count && (slot->length != length || memcmp(slot->name, name, length))) {
        at = (at + 1) % SLOTS;
        slot = &part->slots[at];
    }
    if (!slot->count) {
        memcpy(slot->name, name, length);
        slot->length = length;
        slot->least = 9999;
        slot->most = -9999;
    }
    return slot;
}

static void *read_part(void *argument)
{
    struct part *part = argument;

    for (const char *at = part->begin; at < part->end;) {
        const char *name = at;
        uint32_t hash = 2166136261u;
        struct slot *slot;
        bool is_negative;
        int value;

        for (; *at != ';'; at++)
            hash = (hash ^ (unsigned char)*at) * 16777619u;
        slot = find(part, name, (uint32_t)(at - name), hash);
        at++;
        is_negative = *at == '-';
        at += is_negative;
        value = *at++ - '0';
        if (*at != '.')
            value = 10 * value + *at++ - '0';
        value = 10 * value + at[1] - '0';
        at += 3;
        if (is_negative)
            value = -value;
        slot->count++;
        slot->sum += value;
        if (value < slot->least)
            slot->least = value;
        if (value > slot->most)
            slot->most = value;
    }
    return NULL;
}

static void merge(struct part *part, const struct part *other)
{
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *from = &other->slots[i];
        uint32_t hash = 2166136261u;
        struct slot *to;

        if (!from->count)
            continue;
        for (uint32_t k = 0; k < from->length; k++)
            hash = (hash ^ (unsigned char)from->name[k]) * 16777619u;
        to = find(part, from->name, from->length, hash);
        to->count += from->count;
        to->sum += from->sum;
        to->least = from->least < to->least ? from->least : to->least;
        to->most = from->most > to->most ? from->most : to->most;
    }
}

int main(int argc, char **argv)
{
    static struct part parts[THREADS];
    pthread_t threads[THREADS];
    struct stat status;
    int file = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    const char *bytes;

    if (file < 0 || fstat(file, &status))
        return EXIT_FAILURE;
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        return EXIT_FAILURE;
    for (int i = 0; i < THREADS; i++) {
        const char *end = bytes + status.st_size / THREADS * (i + 1);

        while (i + 1 < THREADS && end[-1] != '\n')
            end++;
        parts[i].begin = i ? parts[i - 1].end : bytes;
        parts[i].end = i + 1 < THREADS ? end : bytes + status.st_size;
        pthread_create(&threads[i], NULL, read_part, &parts[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < THREADS; i++)
        merge(&parts[0], &parts[i]);
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *slot = &parts[0].slots[i];

        if (slot->count)
            printf("%.*s,%.1f,%.3f,%.1f\n", (int)slot->length, slot->name, slot->least / 10.0,
                   (double)slot->sum / 10 / (double)slot->count, slot->most / 10.0);
    }
    return EXIT_SUCCESS;
}
