/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - the plugin that brings libcurl: GET with limits. */
#include <curl/curl.h>
#include <flotilla/error.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"

FLO_API enum fetch_outcome document_fetch_http(const char *url, size_t max_bytes,
                                               bool (*keep_going)(void *ctx), void *ctx,
                                               struct fetched *out);

struct transfer {
    struct fetched *out;
    size_t max_bytes, capacity;
    bool too_large, out_of_memory, stopped;
    bool (*keep_going)(void *ctx);
    void *ctx;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    if (len > t->max_bytes - t->out->len) {
        t->too_large = true;
        return 0;
    }
    if (t->out->len + len + 1 > t->capacity) {
        size_t capacity = (t->out->len + len + 1) * 2;
        char *grown = realloc(t->out->data, capacity);
        if (!grown) {
            t->out_of_memory = true;
            return 0;
        }
        t->out->data = grown;
        t->capacity = capacity;
    }
    memcpy(t->out->data + t->out->len, data, len);
    t->out->len += len;
    return len;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    struct transfer *t = arg;
    t->stopped = !t->keep_going(t->ctx);
    return t->stopped;
}

static enum fetch_outcome judge(CURL *curl, CURLcode code, struct transfer *t)
{
    long status = 0;
    char *type = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    snprintf(t->out->content_type, sizeof t->out->content_type, "%s", type ? type : "");
    if (t->stopped)
        return FETCH_STOPPED;
    if (t->too_large) {
        snprintf(t->out->reason, sizeof t->out->reason, "it is larger than max_bytes");
        return FETCH_TOO_LARGE;
    }
    if (code != CURLE_OK) {
        snprintf(t->out->reason, sizeof t->out->reason, "%s", curl_easy_strerror(code));
        return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ? FETCH_REFUSED
                                                                                 : FETCH_FAILED;
    }
    if (status == 200)
        return FETCH_OK;
    snprintf(t->out->reason, sizeof t->out->reason, "the server answered %ld", status);
    if (status == 404 || status == 410)
        return FETCH_NOT_FOUND;
    return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429
               ? FETCH_REFUSED
               : FETCH_FAILED;
}

enum fetch_outcome document_fetch_http(const char *url, size_t max_bytes,
                                       bool (*keep_going)(void *ctx), void *ctx,
                                       struct fetched *out)
{
    pthread_once(&once, init_curl);
    struct transfer t = {.out = out, .max_bytes = max_bytes, .keep_going = keep_going, .ctx = ctx};
    t.out->data = calloc(1, 1);
    t.capacity = 1;
    CURL *curl = curl_easy_init();
    if (!curl || !t.out->data) {
        curl_easy_cleanup(curl);
        snprintf(out->reason, sizeof out->reason, "out of memory");
        return FETCH_FAILED;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 20L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "flotilla-document/0.1");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    CURLcode code = curl_easy_perform(curl);
    enum fetch_outcome outcome = t.out_of_memory ? FETCH_FAILED : judge(curl, code, &t);
    curl_easy_cleanup(curl);
    return outcome;
}
