/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a batch job has left. Slurm is asked once, and a controller that does not answer costs ten seconds: a map
 * goes on without a limit then. */
#include "walltime.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A job's number goes into a command. */
static bool is_number(const char *text)
{
    return text && *text && strlen(text) < 32 && strspn(text, "0123456789") == strlen(text);
}

/* A job of an array is named by two numbers: the last one's own is the number of the whole array. False outside of
 * Slurm. */
static bool name_job(char *name, size_t size)
{
    const char *job = getenv("SLURM_JOB_ID"), *array = getenv("SLURM_ARRAY_JOB_ID");
    const char *task = getenv("SLURM_ARRAY_TASK_ID");

    if (is_number(array) && is_number(task))
        snprintf(name, size, "%s_%s", array, task);
    else if (is_number(job))
        snprintf(name, size, "%s", job);
    else
        return false;
    return true;
}

bool walltime_parse(const char *text, double *seconds)
{
    double days = 0, part[3] = {0};
    unsigned count = 0;
    const char *dash = strchr(text, '-');
    char *end;

    if (dash)
        days = strtod(text, &end);
    for (const char *at = dash ? dash + 1 : text; count < 3; at = end + 1) {
        if (!isdigit((unsigned char)*at))
            return false;
        part[count++] = strtod(at, &end);
        if (*end != ':')
            break;
    }
    if (*end && !isspace((unsigned char)*end))
        return false;
    if (dash) /* hours come first */
        *seconds = ((days * 24 + part[0]) * 60 + part[1]) * 60 + part[2];
    else if (count == 3)
        *seconds = (part[0] * 60 + part[1]) * 60 + part[2];
    else
        *seconds = count == 2 ? part[0] * 60 + part[1] : part[0];
    return true;
}

static double ask_slurm(const char *job)
{
    char command[160], answer[64];
    double left_s = 0;
    FILE *pipe;

    snprintf(command, sizeof command, "timeout 10 squeue -h -j %s -o %%L 2>/dev/null </dev/null", job);
    if (!(pipe = popen(command, "r")))
        return 0;
    if (!fgets(answer, sizeof answer, pipe) || !walltime_parse(answer, &left_s))
        left_s = 0;
    pclose(pipe);
    return left_s;
}

double walltime_left_s(void)
{
    const char *end = getenv("SLURM_JOB_END_TIME");
    char job[64];

    if (is_number(end)) {
        double left_s = strtod(end, NULL) - (double)time(NULL);

        return left_s > 1 ? left_s : 1; /* over already: there is no time left, but a limit */
    }
    return name_job(job, sizeof job) ? ask_slurm(job) : 0;
}
