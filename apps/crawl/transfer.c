/* SPDX-License-Identifier: BSD-3-Clause */
/* libcurl keeps the connections; a transfer is used again and again. Redirects are not followed here: each hop is
 * for main to allow. The body is kept as it came, packed or not, because that is what a WARC file holds. */
#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "decode.h"
#include "robots.h"

#define HEAD_MOST      (256u << 10)
#define SITEMAP_MOST   (50u << 20) /* of their protocol */
#define CONNECT_MS     15000L
#define STALL_S        20L /* without a byte for so long the transfer has failed */
#define RECEIVE_BUFFER 65536L

/* Whether it begins as "HTTP/1.1 103". */
static bool is_interim(const struct buffer *head)
{
    const char *status = memchr(head->bytes, ' ', head->size);

    return status && status + 1 < head->bytes + head->size && status[1] == '1';
}

static size_t on_head(char *bytes, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;

    size *= count;
    if (transfer->head_is_whole && is_interim(&transfer->head))
        transfer->head.size = transfer->head_is_whole = 0;
    if (transfer->head_is_whole)
        return size;
    transfer->head_is_whole = *bytes == '\r' || *bytes == '\n';
    if (transfer->head.size + size > HEAD_MOST) {
        transfer->has_too_much_head = true;
        return 0;
    }
    buffer_add(&transfer->head, bytes, size);
    return size;
}

/* --max-size is for pages: what says which pages there are may be as large as its protocol allows. */
static size_t most_of(const struct transfer *transfer)
{
    return transfer->kind == ORDER_PAGE || transfer->most_size > SITEMAP_MOST ? transfer->most_size
                                                                              : SITEMAP_MOST;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;

    size *= count;
    if (transfer->kind == ORDER_ROBOTS && size >= ROBOTS_MOST - transfer->body.size) {
        buffer_add(&transfer->body, bytes, ROBOTS_MOST - transfer->body.size);
        transfer->is_enough = true;
        return 0;
    }
    if (transfer->body.size + size > most_of(transfer)) {
        transfer->is_too_large = true;
        return 0;
    }
    buffer_add(&transfer->body, bytes, size);
    return size;
}

/* libcurl sends a request again by itself if the server closes a connection that was used before instead of
 * answering. When a host is asked again is for main to say, so the second request is stopped here. */
static int on_request(void *argument, char *server, char *client, int server_port, int client_port)
{
    struct transfer *transfer = argument;

    (void)server, (void)client, (void)server_port, (void)client_port;
    if (transfer->is_sent)
        return CURL_PREREQFUNC_ABORT;
    transfer->is_sent = true;
    return CURL_PREREQFUNC_OK;
}

struct transfer *transfer_create(const struct transfer_limits *limits)
{
    struct transfer *transfer = must_realloc(NULL, sizeof *transfer);
    CURL *easy = curl_easy_init();

    if (!easy) {
        free(transfer);
        return NULL;
    }
    *transfer = (struct transfer){.easy = easy, .agent = limits->agent, .most_size = limits->most_size};
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, limits->agent);
    if (*limits->authorities)
        curl_easy_setopt(easy, CURLOPT_CAINFO, limits->authorities);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(limits->timeout_s * 1e3));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    return transfer;
}

static void add_header(struct transfer *transfer, const char *name, const char *value)
{
    struct buffer line = {0};
    struct curl_slist *headers;

    buffer_print(&line, "%s: %s", name, value);
    if ((headers = curl_slist_append(transfer->headers, line.bytes)))
        transfer->headers = headers;
    buffer_free(&line);
}

void transfer_set(struct transfer *transfer, const char *url, const char *etag, const char *modified)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    transfer->time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    transfer->head.size = transfer->body.size = transfer->text.size = 0;
    transfer->is_too_large = transfer->has_too_much_head = transfer->is_sent = false;
    transfer->is_enough = transfer->head_is_whole = false;
    transfer->error[0] = transfer->location[0] = 0;
    transfer->ticket = 0;
    strncpy(transfer->url, url, URL_MOST);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    add_header(transfer, "Accept",
               transfer->kind == ORDER_PAGE ? "text/html,application/xhtml+xml,*/*;q=0.8" : "*/*");
    add_header(transfer, "Accept-Encoding", "gzip");
    if (*etag)
        add_header(transfer, "If-None-Match", etag);
    if (*modified)
        add_header(transfer, "If-Modified-Since", modified);
    curl_easy_setopt(transfer->easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(transfer->easy, CURLOPT_MAXFILESIZE_LARGE,
                     transfer->kind == ORDER_ROBOTS ? 0 : (curl_off_t)most_of(transfer));
}

static void copy_header(const struct transfer *transfer, const char *name, char *to, size_t room)
{
    size_t length;
    const char *value = head_find(transfer->head.bytes, transfer->head.size, name, &length);

    if (!value || length >= room)
        length = 0;
    if (length)
        memcpy(to, value, length);
    to[length] = 0;
}

/* Seconds, or a date. */
static uint64_t read_retry_after(const struct transfer *transfer)
{
    char text[64];
    time_t then, now = time(NULL);

    copy_header(transfer, "Retry-After", text, sizeof text);
    if (text[0] >= '0' && text[0] <= '9')
        return strtoull(text, NULL, 10);
    then = *text ? curl_getdate(text, NULL) : -1;
    return then > now ? (uint64_t)(then - now) : 0;
}

/* What the server has sent, in a line of its own words: no control characters. */
static void describe(struct transfer *transfer, const char *before, const char *value, size_t length,
                     const char *behind)
{
    size_t most = length < 150 ? length : 150;

    snprintf(transfer->error, sizeof transfer->error, "%s '%.*s%s'%s", before, (int)most, value,
             most < length ? "..." : "", behind);
    for (char *byte = transfer->error; *byte; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 0x7f)
            *byte = '?';
    }
}

/* A redirect that leads nowhere is a broken link. */
static void read_location(struct transfer *transfer)
{
    struct url_base base;
    size_t length, ignored;
    const char *value = head_find(transfer->head.bytes, transfer->head.size, "Location", &length);

    if (!value || !length) {
        snprintf(transfer->error, sizeof transfer->error, "it has status %u, and no Location",
                 transfer->facts.status);
    } else if (!url_base_set(&base, transfer->url, strlen(transfer->url)) ||
               !url_resolve(&base, value, length, transfer->location)) {
        transfer->location[0] = 0;
        describe(transfer, "it redirects to", value, length, ", which is no URL that can be asked for");
    } else if (!strcmp(transfer->location, transfer->url)) {
        strcpy(transfer->error, head_find(transfer->head.bytes, transfer->head.size, "Set-Cookie", &ignored)
                                    ? "it redirects to itself, with a cookie: none are kept"
                                    : "it redirects to itself");
    }
}

static bool is_html_type(const struct transfer *transfer)
{
    return !strncasecmp(transfer->type, "text/html", 9) ||
           !strncasecmp(transfer->type, "application/xhtml+xml", 21) ||
           (!transfer->type[0] && decode_is_markup(transfer->body.bytes, transfer->body.size));
}

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_to_be_tried_again(unsigned status)
{
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

static void read_answer(struct transfer *transfer)
{
    struct facts *facts = &transfer->facts;
    long status = 0;
    char *address = NULL;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &address);
    strncpy(transfer->address, address ? address : "", sizeof transfer->address - 1);
    facts->status = (unsigned)status;
    copy_header(transfer, "Content-Type", transfer->type, sizeof transfer->type);
    copy_header(transfer, "ETag", transfer->etag, sizeof transfer->etag);
    copy_header(transfer, "Last-Modified", transfer->modified, sizeof transfer->modified);
    if (is_redirect(facts->status))
        read_location(transfer);
    facts->retry_after_s = read_retry_after(transfer);
    facts->is_html = is_html_type(transfer);
    if (is_to_be_tried_again(facts->status))
        facts->outcome = OUTCOME_TROUBLE;
}

/* Whether another attempt may end otherwise. */
static bool may_recover(CURLcode code)
{
    return code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT &&
           code != CURLE_WEIRD_SERVER_REPLY && code != CURLE_FILESIZE_EXCEEDED && code != CURLE_WRITE_ERROR &&
           code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_BAD_CONTENT_ENCODING;
}

static void read_trouble(struct transfer *transfer, CURLcode code)
{
    transfer->facts.outcome = may_recover(code) ? OUTCOME_TROUBLE : OUTCOME_FAILED;
    if (code == CURLE_ABORTED_BY_CALLBACK)
        strcpy(transfer->error, "the server has closed the connection without an answer");
    else if (transfer->is_too_large || code == CURLE_FILESIZE_EXCEEDED)
        strcpy(transfer->error, "it is larger than --max-size");
    else if (transfer->has_too_much_head)
        strcpy(transfer->error, "its headers are larger than 256 KiB");
    else if (!transfer->error[0])
        strncpy(transfer->error, curl_easy_strerror(code), sizeof transfer->error - 1);
    transfer->error[strcspn(transfer->error, "\r\n")] = 0;
}

void transfer_finish(struct transfer *transfer, CURLcode code)
{
    curl_off_t duration_us = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &duration_us);
    transfer->type[0] = transfer->etag[0] = transfer->modified[0] = transfer->address[0] = 0;
    transfer->facts = (struct facts){.outcome = OUTCOME_ANSWERED,
                                     .size = transfer->body.size,
                                     .duration_us = (uint64_t)duration_us,
                                     .time_ms = transfer->time_ms,
                                     .type = transfer->type,
                                     .location = transfer->location,
                                     .etag = transfer->etag,
                                     .modified = transfer->modified,
                                     .error = transfer->error};
    if (code && !(code == CURLE_WRITE_ERROR && transfer->is_enough))
        read_trouble(transfer, code);
    else
        read_answer(transfer);
}

const char *transfer_text(struct transfer *transfer, size_t *size)
{
    size_t length = 0;
    const char *encodings = head_find(transfer->head.bytes, transfer->head.size, "Content-Encoding", &length);
    struct decoding decoding = {.body = transfer->body.bytes,
                                .size = transfer->body.size,
                                .most = most_of(transfer),
                                .is_file = transfer->kind == ORDER_SITEMAP};
    const char *error = decode_packed(&decoding, encodings, length, &transfer->text);

    if (error) {
        transfer->facts.outcome = OUTCOME_FAILED;
        if (decoding.unknown)
            describe(transfer, "its Content-Encoding is", decoding.unknown, decoding.unknown_length, error);
        else
            strncpy(transfer->error, error, sizeof transfer->error - 1);
        return NULL;
    }
    *size = decoding.size;
    return decoding.size ? decoding.body : "";
}

void transfer_request(const struct transfer *transfer, struct buffer *request)
{
    const char *authority = strstr(transfer->url, "://") + 3, *path = authority + strcspn(authority, "/?");

    request->size = 0;
    buffer_print(request, "GET %s%s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: %s\r\n", *path == '/' ? "" : "/",
                 path, (int)(path - authority), authority, transfer->agent);
    for (const struct curl_slist *header = transfer->headers; header; header = header->next)
        buffer_print(request, "%s\r\n", header->data);
    buffer_add(request, "\r\n", 2);
}

static bool begins(const char *line, size_t length, const char *name)
{
    return length >= strlen(name) && !strncasecmp(line, name, strlen(name));
}

void transfer_head(const struct transfer *transfer, struct buffer *head)
{
    const char *line = transfer->head.bytes, *end = line + transfer->head.size, *next;

    head->size = 0;
    for (; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length;

        next = stop ? stop + 1 : end;
        length = (size_t)(next - line);
        if (begins(line, length, "HTTP/2 ")) {
            buffer_print(head, "HTTP/1.1 ");
            line += 7;
            length -= 7;
        } else if (begins(line, length, "Transfer-Encoding:")) {
            buffer_print(head, "X-Archive-Orig-"); /* the body is in one piece here */
        }
        buffer_add(head, line, length);
    }
}

void transfer_free(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    buffer_free(&transfer->head);
    buffer_free(&transfer->body);
    buffer_free(&transfer->text);
    free(transfer);
}
