/* SPDX-License-Identifier: BSD-3-Clause */
#include "tiling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"

/* Numbers with commas between them. False if a text is none of these, or they are too many. */
static bool read_numbers(const char *text, uint64_t numbers[MPM_MAX_TILE_DIMENSIONS], unsigned *count)
{
    for (*count = 0; *count < MPM_MAX_TILE_DIMENSIONS; text++) {
        char *end;

        errno = 0;
        numbers[*count] = strtoull(text, &end, 10);
        if (errno || *text < '0' || *text > '9')
            return false;
        ++*count;
        text = end;
        if (*text != ',')
            return !*text;
    }
    return false;
}

/* One number is that of all dimensions. */
static int choose_halo(const char *command, const char *text, mpm_tiling *tiling)
{
    unsigned count = 0;

    if (text && (!read_numbers(text, tiling->halo, &count) || (count > 1 && count != tiling->rank)))
        return usage_error(command,
                           "--halo is '%s', but must be one number, or one for each of the %u in --tile",
                           text, tiling->rank);
    for (unsigned i = 1; count == 1 && i < tiling->rank; i++)
        tiling->halo[i] = tiling->halo[0];
    return 0;
}

static int choose_edge(const char *command, const char *text, mpm_tiling *tiling)
{
    static const char *const edges[] = {"none", "constant", "nearest", "reflect"};
    char *end;

    for (size_t i = 0; text && i < sizeof edges / sizeof *edges; i++) {
        size_t length = strlen(edges[i]);

        if (strncmp(text, edges[i], length))
            continue;
        tiling->edge = (int)i;
        if (!text[length])
            return 0;
        if (i != MPM_EDGE_CONSTANT || text[length] != ':')
            break;
        tiling->edge_value = strtod(text + length + 1, &end);
        if (end != text + length + 1 && !*end)
            return 0;
    }
    return text ? usage_error(
                      command,
                      "--edge is '%s', but must be none, reflect, nearest, constant or constant:NUMBER", text)
                : 0;
}

int tiling_choose(const char *command, const struct tiling_request *request, mpm_tiling *tiling,
                  unsigned *axis)
{
    const char *lonely = request->halo     ? "--halo"
                         : request->edge   ? "--edge"
                         : request->stitch ? "--stitch"
                                           : NULL;
    uint64_t numbers[MPM_MAX_TILE_DIMENSIONS];
    unsigned count;
    int exit_status;

    *tiling = (mpm_tiling){.stitch = request->stitch};
    *axis = 0;
    if (request->axis) {
        if (!read_numbers(request->axis, numbers, &count) || count != 1 || numbers[0] >= MPM_MAX_DIMENSIONS)
            return usage_error(command, "--axis is '%s', but must be a number from 0, the first, to %d",
                               request->axis, MPM_MAX_DIMENSIONS - 1);
        *axis = (unsigned)numbers[0];
    }
    if (!request->tile)
        return lonely ? usage_error(command, "%s is about tiles: give --tile with it", lonely) : 0;
    if (*axis)
        return usage_error(command, "--tile and --axis do not go together: leave one of them out");
    if (!read_numbers(request->tile, tiling->extent, &tiling->rank))
        return usage_error(command, "--tile is '%s', but must be 1 to %d numbers like 256,256", request->tile,
                           MPM_MAX_TILE_DIMENSIONS);
    exit_status = choose_halo(command, request->halo, tiling);
    return exit_status ? exit_status : choose_edge(command, request->edge, tiling);
}
