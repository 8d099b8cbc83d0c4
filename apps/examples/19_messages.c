/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of a film go through a process that inverts them, and come back. None of them is copied: its memory changes
 * hands.
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>
#include <string.h>

#define FRAMES 4
#define FRAME  ((size_t)3840 * 2160)

struct film {
    mpm_queue in, out;
};

static int invert(const void *args, size_t size)
{
    const struct film *film = args;
    mpm_message frame;
    int status;

    (void)size;
    while (!(status = mpm_queue_get_message(film->in, MPM_FOREVER, &frame))) {
        unsigned char *pixels = frame.bytes;

        for (size_t i = 0; i < frame.size; i++)
            pixels[i] = (unsigned char)~pixels[i];
        if (mpm_queue_put_message(film->out, &frame, MPM_FOREVER))
            return mpm_report_error();
    }
    return status == MPM_ECLOSED ? 0 : mpm_report_error();
}

int main(int argc, char **argv)
{
    mpm_queue_options few = {.maxsize = 2};
    mpm_process inverter;
    mpm_message frame;
    struct film film;

    if (mpm_init(&argc, &argv, NULL) || mpm_queue_create(&few, &film.in) ||
        mpm_queue_create(NULL, &film.out) || mpm_process_start(invert, &film, sizeof film, NULL, &inverter))
        return mpm_report_error();

    for (int i = 0; i < FRAMES; i++) {
        if (mpm_message_create(FRAME, &frame))
            return mpm_report_error();
        memset(frame.bytes, i, frame.size);
        if (mpm_queue_put_message(film.in, &frame, MPM_FOREVER))
            return mpm_report_error();
    }
    if (mpm_queue_close(film.in))
        return mpm_report_error();

    for (int i = 0; i < FRAMES; i++) {
        if (mpm_queue_get_message(film.out, MPM_FOREVER, &frame))
            return mpm_report_error();
        printf("frame %d: %zu pixels, the last is %d\n", i, frame.size,
               ((unsigned char *)frame.bytes)[frame.size - 1]);
        mpm_message_destroy(&frame);
    }
    if (mpm_process_join(inverter, MPM_FOREVER))
        return mpm_report_error();
    return mpm_finalize();
}
