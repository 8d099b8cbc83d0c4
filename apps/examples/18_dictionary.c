/* SPDX-License-Identifier: BSD-3-Clause */
/* A dictionary for all processes: a server that owns it, and clients that ask by a queue and bring a pipe for the answer.
 * Anything that Python has in a Manager, or behind a Listener, can be had so. In Python:
 *
 *     import multiprocessing
 *
 *     def add_square(squares, number):
 *         squares[f"{number} squared"] = number * number
 *
 *     if __name__ == "__main__":
 *         with multiprocessing.Manager() as manager:
 *             squares = manager.dict()
 *             clients = []
 *             for number in range(1, 5):
 *                 client = multiprocessing.Process(target=add_square, args=(squares, number))
 *                 clients.append(client)
 *                 client.start()
 *             for client in clients:
 *                 client.join()
 *             for number in range(1, 5):
 *                 print(f"{number} squared: {squares[f'{number} squared']}")
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>
#include <string.h>

#define MOST 100 /* entries */

struct request {
    enum { SET, GET, STOP } verb;
    char key[32];
    int value;
    mpm_connection reply; /* the server's end of a pipe of the client's */
};

struct entry {
    char key[32];
    int value, is_there;
};

struct client {
    mpm_queue requests; /* names the server, on every node */
    int number;
};

/* The entry with this key; if there is none, the first that is free. */
static struct entry *find(struct entry *entries, const char *key)
{
    while (entries->is_there && strcmp(entries->key, key))
        entries++;
    return entries;
}

static int serve(const void *args, size_t size)
{
    static struct entry entries[MOST + 1];
    const mpm_queue *requests = args;
    struct request request;
    int status;

    (void)size;
    while (!(status = mpm_get(*requests, &request)) && request.verb != STOP) {
        struct entry *entry = find(entries, request.key);

        if (request.verb == SET && entry < entries + MOST) {
            *entry = (struct entry){.value = request.value, .is_there = 1};
            memcpy(entry->key, request.key, sizeof entry->key);
        }
        (void)!mpm_send(request.reply, entry); /* a client that has died meanwhile is no matter */
    }
    return status ? mpm_report_error() : 0;
}

static int ask(mpm_queue requests, struct request *request, struct entry *entry)
{
    mpm_connection answers;
    int status = mpm_pipe_create(MPM_ONEWAY, &answers, &request->reply);

    if (!status && !(status = mpm_put(requests, request)))
        status = mpm_recv(answers, entry);
    if (!status && !(status = mpm_connection_close(answers)))
        status = mpm_connection_close(request->reply);
    return status;
}

static int add_square(const void *args, size_t size)
{
    const struct client *client = args;
    struct request request = {.verb = SET, .value = client->number * client->number};
    struct entry entry;

    (void)size;
    snprintf(request.key, sizeof request.key, "%d squared", client->number);
    return ask(client->requests, &request, &entry) ? mpm_report_error() : !entry.is_there;
}

int main(int argc, char **argv)
{
    mpm_process server, clients[4];
    struct client client = {.number = 0};
    struct request request = {.verb = GET};
    struct entry entry;

    if (mpm_init(&argc, &argv, NULL) || mpm_queue_create(NULL, &client.requests) ||
        mpm_process_start(serve, &client.requests, sizeof client.requests, NULL, &server))
        return mpm_report_error();
    for (int i = 0; i < 4; i++) {
        client.number = i + 1;
        if (mpm_process_start(add_square, &client, sizeof client, NULL, &clients[i]))
            return mpm_report_error();
    }
    for (int i = 0; i < 4; i++)
        if (mpm_process_join(clients[i], MPM_FOREVER))
            return mpm_report_error();

    for (int number = 1; number <= 4; number++) {
        snprintf(request.key, sizeof request.key, "%d squared", number);
        if (ask(client.requests, &request, &entry))
            return mpm_report_error();
        printf("%s: %d\n", entry.key, entry.value);
    }
    request.verb = STOP;
    if (mpm_put(client.requests, &request) || mpm_process_join(server, MPM_FOREVER))
        return mpm_report_error();
    return mpm_finalize();
}
