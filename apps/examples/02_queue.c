/* SPDX-License-Identifier: BSD-3-Clause */
/* A producer hands five numbers to a consumer through a queue. In Python:
 *
 *     import multiprocessing
 *
 *     def producer(queue):
 *         for i in range(5):
 *             print(f"Producer adding {i} to queue")
 *             queue.put(i)
 *
 *     def consumer(queue):
 *         while True:
 *             item = queue.get()
 *             if item is None:  # End signal
 *                 break
 *             print(f"Consumer received {item}")
 *
 *     if __name__ == "__main__":
 *         queue = multiprocessing.Queue()
 *
 *         # Creating producer and consumer processes
 *         producer_process = multiprocessing.Process(target=producer, args=(queue,))
 *         consumer_process = multiprocessing.Process(target=consumer, args=(queue,))
 *
 *         producer_process.start()
 *         consumer_process.start()
 *
 *         producer_process.join()
 *         queue.put(None)  # Sending end signal to consumer
 *         consumer_process.join()
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int producer(const void *args, size_t size)
{
    const mpm_queue *queue = args;

    (void)size;
    for (int i = 0; i < 5; i++) {
        printf("Producer adding %d to queue\n", i);
        if (mpm_put(*queue, &i))
            return mpm_report_error();
    }
    return 0;
}

static int consumer(const void *args, size_t size)
{
    const mpm_queue *queue = args;
    int item;

    (void)size;
    for (;;) {
        if (mpm_queue_get(*queue, MPM_FOREVER, &item, sizeof item, &size))
            return mpm_report_error();
        if (!size) /* End signal */
            return 0;
        printf("Consumer received %d\n", item);
    }
}

int main(int argc, char **argv)
{
    mpm_process producer_process, consumer_process;
    mpm_queue queue;

    if (mpm_init(&argc, &argv, NULL) || mpm_queue_create(NULL, &queue) ||
        mpm_process_start(producer, &queue, sizeof queue, NULL, &producer_process) ||
        mpm_process_start(consumer, &queue, sizeof queue, NULL, &consumer_process))
        return mpm_report_error();

    if (mpm_process_join(producer_process, MPM_FOREVER) ||
        mpm_queue_put(queue, NULL, 0, MPM_FOREVER) || /* Sending end signal */
        mpm_process_join(consumer_process, MPM_FOREVER))
        return mpm_report_error();
    return mpm_finalize();
}
