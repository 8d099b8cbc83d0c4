/* SPDX-License-Identifier: BSD-3-Clause */
/* The inbox of a crawl's fetcher. Its thread pauses for as long as the test wants it to. */
#include <CUnit/CUnit.h>
#include <curl/curl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpmap.h>

#include "inbox.h"
#include "message.h"
#include "support/suite.h"

enum { ROWS = 500 };

struct message {
    uint64_t kind, number;
};

static sem_t pause_has_begun, pause_may_end;
static _Atomic unsigned wakes;

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
CURLMcode __wrap_curl_multi_wakeup(CURLM *multi);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    sem_post(&pause_has_begun);
    while (sem_wait(&pause_may_end))
        ;
    return 0;
}

CURLMcode __wrap_curl_multi_wakeup(CURLM *multi)
{
    (void)multi;
    atomic_fetch_add(&wakes, 1);
    return CURLM_OK;
}

static bool begins_to_pause(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 100;
    return !sem_timedwait(&pause_has_begun, &until);
}

static void put(mpm_queue queue, uint64_t kind, uint64_t number)
{
    struct message message = {kind, number};

    CU_ASSERT_EQUAL(mpm_queue_put(queue, &message, sizeof message, MPM_FOREVER), MPM_OK);
}

/* How many letters there are, numbered from `first` on. */
static uint64_t count_letters(struct inbox *inbox, uint64_t first)
{
    uint64_t count = 0;
    bool is_closed;

    for (struct letter *letter = inbox_take(inbox, &is_closed), *next; letter; letter = next) {
        struct message message;

        next = letter->next;
        memcpy(&message, letter->bytes, sizeof message);
        CU_ASSERT(letter->size == sizeof message && message.number == first + count++);
        free(letter);
    }
    return count;
}

static void rows_that_come_during_a_pause_are_taken_together(void)
{
    struct inbox *inbox;
    mpm_queue queue;

    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &queue), MPM_OK);
    CU_ASSERT_FATAL((inbox = inbox_open(queue, NULL)) != NULL);
    put(queue, INBOX_ROWS, 0);
    CU_ASSERT_FATAL(begins_to_pause());
    CU_ASSERT_EQUAL(count_letters(inbox, 0), 1);
    CU_ASSERT_EQUAL(atomic_load(&wakes), 1);
    for (uint64_t number = 1; number < ROWS; number++)
        put(queue, number % 7 ? INBOX_ROWS : INBOX_ORDER, number);
    CU_ASSERT_EQUAL(count_letters(inbox, 1), 0);
    sem_post(&pause_may_end);
    CU_ASSERT_FATAL(begins_to_pause());
    CU_ASSERT_EQUAL(count_letters(inbox, 1), ROWS - 1);
    CU_ASSERT_EQUAL(atomic_load(&wakes), 2);
    CU_ASSERT_EQUAL(mpm_queue_close(queue), MPM_OK);
    for (int i = 0; i < ROWS; i++)
        sem_post(&pause_may_end); /* as often as there may be a pause, should rows be taken one at a time */
    inbox_close(inbox);
    CU_ASSERT_EQUAL(mpm_queue_destroy(queue), MPM_OK);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"rows_that_come_during_a_pause_are_taken_together",
         rows_that_come_during_a_pause_are_taken_together},
    };
    int status;

    if (sem_init(&pause_has_begun, 0, 0) || sem_init(&pause_may_end, 0, 0))
        return EXIT_FAILURE;
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("crawl_inbox", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
