/* SPDX-License-Identifier: BSD-3-Clause */
/* Main asks a process, which answers, through a pipe of two ends. In Python:
 *
 *     import multiprocessing
 *
 *     def answer(connection):
 *         while (number := connection.recv()) is not None:
 *             connection.send(number * number)
 *
 *     if __name__ == "__main__":
 *         asking, answering = multiprocessing.Pipe()
 *         process = multiprocessing.Process(target=answer, args=(answering,))
 *         process.start()
 *         for number in (3, 4, 5):
 *             asking.send(number)
 *             print(f"{number} squared is {asking.recv()}")
 *         asking.send(None)  # End signal: the child has inherited this end, too, so closing it would tell nobody
 *         process.join()
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int answer(const void *args, size_t size)
{
    const mpm_connection *connection = args;
    int number, square, status;

    (void)size;
    while (!(status = mpm_recv(*connection, &number))) {
        square = number * number;
        if (mpm_send(*connection, &square))
            return mpm_report_error();
    }
    return status == MPM_EEOF ? 0 : mpm_report_error(); /* MPM_EEOF: the other end is closed */
}

int main(int argc, char **argv)
{
    mpm_connection asking, answering;
    mpm_process process;
    int square;

    if (mpm_init(&argc, &argv, NULL) || mpm_pipe_create(MPM_DUPLEX, &asking, &answering) ||
        mpm_process_start(answer, &answering, sizeof answering, NULL, &process))
        return mpm_report_error();

    for (int number = 3; number <= 5; number++) {
        if (mpm_send(asking, &number) || mpm_recv(asking, &square))
            return mpm_report_error();
        printf("%d squared is %d\n", number, square);
    }
    if (mpm_connection_close(asking) || mpm_process_join(process, MPM_FOREVER))
        return mpm_report_error();
    return mpm_finalize();
}
