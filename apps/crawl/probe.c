/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of the command line are the links or the URLs. */
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "robots.h"
#include "url.h"

int probe_resolve(const char *base, const struct settings *settings)
{
    struct url_base from;
    char url[URL_ROOM];

    if (!url_base_set(&from, base, strlen(base)))
        return usage_error("", "--resolve is '%s', which is no URL that can be asked for", base);
    for (size_t i = 0; i < settings->start_count; i++) {
        if (!url_resolve(&from, settings->starts[i], strlen(settings->starts[i]), url))
            url[0] = 0;
        puts(url);
    }
    return 0;
}

int probe_robots(const char *name, const struct settings *settings)
{
    static char text[ROBOTS_MOST];
    FILE *file = fopen(name, "rb");
    struct robots robots;
    char url[URL_ROOM];

    if (!file)
        return failure("'%s' cannot be opened: %s", name, strerror(errno));
    robots_read(&robots, text, fread(text, 1, sizeof text, file), settings->agent);
    fclose(file);
    for (size_t i = 0; i < settings->start_count; i++) {
        bool is_url = url_resolve(NULL, settings->starts[i], strlen(settings->starts[i]), url);

        printf("%s %s\n",
               !is_url                      ? "no URL"
               : robots_allow(&robots, url) ? "allowed"
                                            : "forbidden",
               settings->starts[i]);
    }
    robots_free(&robots);
    return 0;
}
