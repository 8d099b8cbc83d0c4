/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of the part that an earlier run has left. While its lock is held it is looked at; nothing in it changes
 * before it is sure that this run goes on with it or starts over. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/error.h"
#include "claim/claim_files.h"
#include "data/join_checks.h"
#include "data/output.h"

#define OR_RESTART "--restart (MPM_RESUME_RESTART) removes it and starts from the first row"

static bool resumes(const struct output *output)
{
    return output->joins || output->resume == MPM_RESUME_CONTINUE || output->resume == MPM_RESUME_FORCE;
}

int output_is_no_part(const struct output *output, const char *why)
{
    return error_set(MPM_EEXIST, "%s exists, and no map can resume from it: %s; " OR_RESTART, output->part,
                     why);
}

static int is_another_map(const struct output *output, const struct part_record *found,
                          enum origin_field field)
{
    char difference[700];

    origin_describe(&found->origin, &output->record.origin, field, difference, sizeof difference);
    if (origin_is_layout(field) || !resumes(output))
        return error_set(MPM_EEXIST, "%s belongs to another map: %s; " OR_RESTART, output->part, difference);
    return error_set(MPM_EEXIST,
                     "%s belongs to another map: %s; --resume=force (MPM_RESUME_FORCE) resumes it anyway, "
                     "and " OR_RESTART,
                     output->part, difference);
}

static int has_rows(const struct output *output, const struct mark_count *count)
{
    return error_set(MPM_EEXIST,
                     "%s has %" PRIu64 " of %" PRIu64
                     " rows of this same map: --resume (MPM_RESUME_CONTINUE) continues it, and " OR_RESTART,
                     output->part, count->good + count->failed, output->record.rows);
}

/* In what the part differs, and this run does not mind: told, each. MPM_EEXIST if it minds. */
int output_check_origin(const struct output *output, const struct part_record *found)
{
    const struct origin *was = &found->origin, *is = &output->record.origin;
    enum origin_field field = origin_difference(was, is, 0);
    char difference[700];

    for (; field < ORIGIN_FIELDS; field = origin_difference(was, is, field + 1)) {
        if (output->resume != MPM_RESUME_FORCE || origin_is_layout(field))
            return is_another_map(output, found, field);
    }
    for (field = origin_difference(was, is, 0); field < ORIGIN_FIELDS;
         field = origin_difference(was, is, field + 1))
        output_tell(output, "%s: ignored: %s", output->part,
                    origin_describe(was, is, field, difference, sizeof difference));
    if (found->is_live != output->record.is_live || (!found->is_live && found->rows != output->record.rows) ||
        found->results.size != output->record.results.size)
        return output_is_no_part(output, "its record is inconsistent");
    return 0;
}

/* Those of another token are none of this part. */
void output_claims_path(const char *part, const struct part_token *token, char claims[PATH_MAX])
{
    uint64_t number;

    memcpy(&number, token->random, sizeof number);
    snprintf(claims, PATH_MAX, "%.*s.join-%016" PRIx64, PATH_MAX - 64, part, number);
}

/* Each run that has joined has a log of its own. */
static void name_own_log(struct output *output)
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = (uint64_t)getpid();
    failed_log_close(&output->log);
    snprintf(output->log.path, sizeof output->log.path, "%.*s/" FAILED_LOG_PREFIX "%016" PRIx64,
             PATH_MAX - 32, output->claims, number);
}

/* What runs that had joined have said of rows that failed. */
static void take_joined_logs(struct output *output)
{
    char path[PATH_MAX + NAME_MAX + 2];
    DIR *folder = opendir(output->claims);

    for (struct dirent *at; folder && (at = readdir(folder));) {
        if (strncmp(at->d_name, FAILED_LOG_PREFIX, strlen(FAILED_LOG_PREFIX)))
            continue;
        snprintf(path, sizeof path, "%s/%s", output->claims, at->d_name);
        failed_log_append(&output->log, path);
    }
    if (folder)
        closedir(folder);
}

void output_name_claims(struct output *output)
{
    output_claims_path(output->part, &output->record.token, output->claims);
    snprintf(output->checks_path, sizeof output->checks_path, "%.*s/" CHECKS_NAME, PATH_MAX - 16,
             output->claims);
    if (output->joins)
        name_own_log(output);
}

void output_remove_claims(const struct output *output)
{
    char prefix[PATH_MAX + 8];

    snprintf(prefix, sizeof prefix, "%s.join-", output->part);
    claim_folders_remove(prefix);
    part_remove_own_names(output->part, NULL);
}

/* Goes on with the part: it gets the token of this run, after which nobody looks at what those that have joined have
 * left beside it. */
static int go_on(struct output *output, const struct part_record *found)
{
    int status = output_check_origin(output, found);

    if (status)
        return status;
    if (found->is_live && (status = output_live_go_on(output, found)))
        return status;
    output->record = *found;
    output_name_claims(output);
    output_name_values(output);
    if ((status = output_find_left(output)))
        return status;
    output_tell(output, "%s has %" PRIu64 " of %" PRIu64 " rows: going on with the other %" PRIu64,
                output->part, output->good + output->failed, output->record.rows, output->left_count);
    status = part_renew_token(output->fd, output->part, output->record.record_at, &output->record.token);
    if (status) {
        free(output->left);
        output->left = NULL;
        return status;
    }
    take_joined_logs(output);
    output_remove_claims(output);
    values_remove_folders(output->part, output->values);
    return 0;
}

static void discard(struct output *output)
{
    part_remove(output->fd, output->part);
    close(output->fd);
    output->fd = -1;
    unlink(output->log.path);
    unlink(output->last);
    values_remove_folders(output->part, NULL);
    output_remove_claims(output);
}

/* Of the open part: goes on with it, removes it, or leaves it as it is with an error. */
static int decide(struct output *output)
{
    struct part_record found;
    struct mark_count count;
    uint64_t missing;
    char why[256];

    if (output->resume == MPM_RESUME_RESTART || lseek(output->fd, 0, SEEK_END) == 0) {
        discard(output);
        return 0;
    }
    if (!part_read_record(output->fd, &found, why, sizeof why))
        return output_is_no_part(output, why);
    if (!marks_count(output->fd, &found, &count, &missing))
        return error_set_errno(MPM_EIO, "cannot read the marks in %s", output->part);
    if (resumes(output))
        return go_on(output, &found);
    if (count.good + count.failed == 0) {
        discard(output);
        return 0;
    }
    if (origin_difference(&found.origin, &output->record.origin, 0) == ORIGIN_FIELDS)
        return has_rows(output, &count);
    return is_another_map(output, &found, origin_difference(&found.origin, &output->record.origin, 0));
}

int output_begin(struct output *output)
{
    int status = part_take(output->part, &output->fd);

    if (!status && output->fd >= 0 && (status = decide(output))) {
        close(output->fd);
        output->fd = -1;
    }
    if (status || output->fd >= 0)
        return status;
    status = output_make(output);
    if (!status && output->is_redone && (status = output_find_left(output)))
        return output_keep(output, status);
    return status;
}
