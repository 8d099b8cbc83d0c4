/* SPDX-License-Identifier: BSD-3-Clause */
/* Main takes what comes first from two pipes, until both are closed. In Python:
 *
 *     import multiprocessing
 *     from multiprocessing.connection import wait
 *
 *     def count(connection, name, last):
 *         for number in range(1, last + 1):
 *             connection.send((name, number))
 *
 *     if __name__ == "__main__":
 *         readers, last, received = [], {}, 0
 *         for name, count_to in (("A", 2), ("B", 3)):
 *             reader, writer = multiprocessing.Pipe(duplex=False)
 *             multiprocessing.Process(target=count, args=(writer, name, count_to)).start()
 *             writer.close()
 *             readers.append(reader)
 *         while readers:
 *             for reader in wait(readers):
 *                 try:
 *                     last[reader] = reader.recv()
 *                     received += 1
 *                 except EOFError:
 *                     print("%s has sent %d" % last[reader])
 *                     readers.remove(reader)
 *         print(received, "messages")
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

struct sender {
    mpm_connection connection; /* a process holds an end whose handle is in its args */
    char name;
    int last;
};

struct message {
    char name;
    int number;
};

static int count(const void *args, size_t size)
{
    const struct sender *sender = args;

    (void)size;
    for (int number = 1; number <= sender->last; number++) {
        struct message message = {sender->name, number};

        if (mpm_send(sender->connection, &message))
            return mpm_report_error();
    }
    return 0; /* the end of a process is the end of what it held */
}

static int start_sender(char name, int last, mpm_connection *reader)
{
    struct sender sender = {.name = name, .last = last};
    mpm_process process;

    return mpm_pipe_create(MPM_ONEWAY, reader, &sender.connection) ||
           mpm_process_start(count, &sender, sizeof sender, NULL, &process);
}

int main(int argc, char **argv)
{
    mpm_connection readers[2];
    struct message message[2];
    size_t open = 2, ready[2], ready_count;
    int received = 0, status;

    if (mpm_init(&argc, &argv, NULL) || start_sender('A', 2, &readers[0]) ||
        start_sender('B', 3, &readers[1]))
        return mpm_report_error();

    while (open) {
        mpm_handle handles[2] = {readers[0].handle, readers[1].handle};

        if (mpm_wait_any(handles, open, MPM_FOREVER, ready, &ready_count))
            return mpm_report_error();
        size_t i = ready[0];
        if (!(status = mpm_recv(readers[i], &message[i]))) {
            received++;
        } else if (status == MPM_EEOF) {
            printf("%c has sent %d\n", message[i].name, message[i].number);
            open--;
            readers[i] = readers[open];
            message[i] = message[open];
        } else {
            return mpm_report_error();
        }
    }
    printf("%d messages\n", received);
    return mpm_finalize();
}
