/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the environment. A variable that is set but makes no sense is an error, never a silent default. */
#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/handle.h"

#include "base/c_locale.h"
#include "base/error.h"
#include "base/log.h"

#define MOST_SLOTS 65536u /* as many as a pool can have workers */

static int read_size(const char *name, size_t *size)
{
    static const char units[] = "KMGT";
    const char *text = getenv(name), *unit;
    unsigned long long number;
    unsigned shift = 0;
    char *end;

    if (!text)
        return MPM_OK;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (*end && (unit = strchr(units, *end))) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (errno || end == text || *end || *text == '-' || !number || number > (SIZE_MAX >> 1) >> shift)
        return error_set(MPM_EINVAL, "%s is \"%s\": it must be a number of bytes such as 268435456 or 256M",
                         name, text);
    *size = (size_t)number << shift;
    return MPM_OK;
}

static int read_count(const char *name, unsigned *count)
{
    const char *text = getenv(name);
    unsigned long number;
    char *end;

    if (!text)
        return MPM_OK;
    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || !number || number > INT_MAX)
        return error_set(MPM_EINVAL, "%s is \"%s\": it must be a whole number of at least 1", name, text);
    *count = (unsigned)number;
    return MPM_OK;
}

static int read_timeout(const char *name, double *timeout_s)
{
    const char *text = getenv(name);
    double seconds;
    char *end;

    if (!text)
        return MPM_OK;
    seconds = c_strtod(text, &end);
    if (!strcmp(text, "off")) {
        *timeout_s = MPM_FOREVER;
        return MPM_OK;
    }
    if (end == text || *end || !isfinite(seconds) || seconds < CONFIG_LEAST_TIMEOUT_S)
        return error_set(MPM_EINVAL, "%s is \"%s\": it must be a number of seconds of at least %g, or off",
                         name, text, CONFIG_LEAST_TIMEOUT_S);
    *timeout_s = seconds;
    return MPM_OK;
}

static int read_slots(const char *name, unsigned *slots)
{
    int status = read_count(name, slots);

    if (!status && *slots > MOST_SLOTS)
        status = error_set(MPM_EINVAL, "%s is \"%u\": it must be at most %u", name, *slots, MOST_SLOTS);
    return status;
}

static int read_log_level(const char *name, int *level)
{
    static const char *const names[] = {"off", "error", "info", "debug"};
    const char *text = getenv(name);

    if (!text)
        return MPM_OK;
    for (int i = 0; i < 4; i++) {
        if (!strcmp(text, names[i])) {
            *level = i;
            return MPM_OK;
        }
    }
    return error_set(MPM_EINVAL, "%s is \"%s\": it must be off, error, info or debug", name, text);
}

int config_read(struct config *config)
{
    struct config read = *config;
    int status;

    if ((status = read_size("MPMAP_ARENA", &read.arena_size)) ||
        (status = read_count("MPMAP_RANKS_PER_NODE", &read.ranks_per_node)) ||
        (status = read_count("MPMAP_WORKER_TIMEOUT", &read.worker_timeout_s)) ||
        (status = read_timeout("MPMAP_NODE_TIMEOUT", &read.node_timeout_s)) ||
        (status = read_slots("MPMAP_SLOTS", &read.slots)) ||
        (status = read_log_level("MPMAP_LOG", &read.log_level)))
        return status;
    *config = read;
    return MPM_OK;
}
