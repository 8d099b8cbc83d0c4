/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap-tune: model selection with honest statistics. Under a launcher every rank runs this, but mpm_init returns in
 * rank 0 only: whatever is behind it happens, and is printed, once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <mpmap.h>

#include "request.h"
#include "session.h"

static int run_arguments(int argc, char **argv)
{
    struct request request;
    int exit_status;

    if (request_read(&request, argc, argv, &exit_status))
        exit_status = session_run(&request);
    request_free(&request);
    return exit_status;
}

int main(int argc, char **argv)
{
    const mpm_options options = {.drain_at_signals = true};

    return command_main("mpmap-tune", &options, argc, argv, run_arguments);
}
