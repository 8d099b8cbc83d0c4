/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of failures is short; their number is exact, and the catalogue has them all. */
#include "summary.h"

#include <stdio.h>
#include <stdlib.h>

#include <mpmap.h>

#include "support/command.h"
#include "support/json.h"

#define MOST_LISTED 20

static size_t count_failed(const struct originals *originals)
{
    size_t count = 0;

    for (size_t i = 0; i < originals->count; i++)
        count += originals->items[i].error != NULL;
    return count;
}

static void list_failed(const struct originals *originals, size_t failed)
{
    size_t listed = 0;

    for (size_t i = 0; i < originals->count && listed < MOST_LISTED; i++) {
        if (!originals->items[i].error)
            continue;
        failure("'%s': %s", originals->items[i].path, originals->items[i].error);
        listed++;
    }
    if (failed > listed)
        failure("and %zu more; all of them are in the catalogue", failed - listed);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void tell_people(const struct summary *summary, const struct originals *originals, size_t failed)
{
    unsigned nodes = mpm_node_count();
    char before[64] = "";

    if (summary->earlier)
        snprintf(before, sizeof before, ", and %llu before", (unsigned long long)summary->earlier);
    fprintf(stderr,
            "mpmap-photos: %llu photograph%s in %.2f s%s, %.4g/s, %u worker%s on %u node%s, %zu failed\n",
            (unsigned long long)summary->done_now, plural(summary->done_now), summary->seconds, before,
            (double)summary->done_now / summary->seconds, summary->workers, plural(summary->workers), nodes,
            plural(nodes), failed);
    if (summary->walked.passed_over)
        fprintf(stderr,
                "mpmap-photos: %llu other file%s passed over: their names end in none of .jpg .jpeg .png "
                ".webp .tif .tiff\n",
                (unsigned long long)summary->walked.passed_over, plural(summary->walked.passed_over));
    if (summary->is_drained)
        fprintf(stderr, "mpmap-photos: drained: %llu of %zu photographs are done, and --resume goes on\n",
                (unsigned long long)(summary->earlier + summary->done_now), originals->count);
    else
        fprintf(stderr,
                "mpmap-photos: %zu group%s of near-duplicates, %zu photographs; see %s/index.html and "
                "photos.h5\n",
                summary->groups, plural(summary->groups), summary->members, summary->settings->out);
}

static void print_failures(const struct originals *originals)
{
    size_t listed = 0;

    printf(",\"failures\":[");
    for (size_t i = 0; i < originals->count && listed < MOST_LISTED; i++) {
        if (!originals->items[i].error)
            continue;
        printf("%s{\"path\":", listed++ ? "," : "");
        json_print_string(originals->items[i].path);
        printf(",\"error\":");
        json_print_string(originals->items[i].error);
        printf("}");
    }
    printf("]");
}

static void print_json(const struct summary *summary, const struct originals *originals, size_t failed)
{
    uint64_t bytes_in = 0, bytes_out = 0;

    for (size_t i = 0; i < originals->count; i++) {
        bytes_in += originals->items[i].photo.file_size;
        bytes_out += originals->items[i].photo.output_bytes;
    }
    printf("{\"photographs\":%zu,\"done\":%llu,\"earlier\":%llu,\"failed\":%zu,\"unreadable\":%zu,\"passed_"
           "over\":%zu,"
           "\"seen_twice\":%zu,\"groups\":%zu,\"duplicates\":%zu,\"bytes_in\":%llu,\"bytes_out\":%llu,"
           "\"workers\":%u,"
           "\"nodes\":%u,\"drained\":%s,\"seconds\":",
           originals->count, (unsigned long long)summary->done_now, (unsigned long long)summary->earlier,
           failed, summary->walked.unreadable, summary->walked.passed_over, summary->walked.seen_twice,
           summary->groups, summary->members, (unsigned long long)bytes_in, (unsigned long long)bytes_out,
           summary->workers, mpm_node_count(), summary->is_drained ? "true" : "false");
    json_print_number(summary->seconds);
    printf(",\"out\":");
    json_print_string(summary->settings->out);
    print_failures(originals);
    printf("}\n");
}

int summary_tell(const struct summary *summary, const struct originals *originals, bool is_json,
                 bool is_quiet)
{
    size_t failed = count_failed(originals);

    list_failed(originals, failed);
    if (!is_quiet)
        tell_people(summary, originals, failed);
    if (is_json)
        print_json(summary, originals, failed);
    if (summary->is_drained)
        return EXIT_DRAINED;
    return failed || summary->walked.unreadable ? EXIT_FAILURE : 0;
}
