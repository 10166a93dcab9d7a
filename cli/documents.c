/* SPDX-License-Identifier: Apache-2.0 */
/*
 * documents.c - `flotilla documents`: every file, folder and URL given goes through
 * DocumentWorkflow; then a table of what was found.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "cli/batch.h"
#include "cli/output.h"
#include "cli/usage.h"

#define MAX_DEPTH 16

struct documents {
    char **uris;
    json_t **results; /* NULL until completed */
    char **errors;
    size_t count, capacity;
};

static bool add(struct documents *d, char *uri)
{
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 64;
        char **uris = flo_reallocarray(d->uris, capacity, sizeof *uris);
        if (!uris || !uri) {
            flo_free(uri);
            return false;
        }
        d->uris = uris;
        d->capacity = capacity;
    }
    d->uris[d->count++] = uri;
    return uri != NULL;
}

/* "file://" and the path, with what a URI cannot hold percent-coded. */
static char *file_uri(const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$&'()*+,;=:@";
    struct flo_buf uri;
    size_t len;
    flo_buf_init(&uri, 0);
    flo_buf_append_str(&uri, "file://");
    for (const char *p = path; *p; p++) {
        if (strchr(plain, *p))
            flo_buf_append(&uri, p, 1);
        else
            flo_buf_printf(&uri, "%%%02X", (unsigned char)*p);
    }
    flo_buf_append(&uri, "", 1);
    return (char *)flo_buf_take(&uri, &len);
}

/* Whether a file in a folder looks like text: folders are taken with what they hold. */
static bool looks_like_text(const char *path)
{
    char head[4096];
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    return n > 0 && !memchr(head, '\0', n);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_folder(struct documents *d, const char *path, int depth)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, by_name);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        char *child = flo_asprintf("%s/%s", path, entries[i]->d_name);
        struct stat st;
        if (ok && child && entries[i]->d_name[0] != '.' && stat(child, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH && entries[i]->d_type != DT_LNK)
                ok = add_folder(d, child, depth + 1);
            else if (S_ISREG(st.st_mode) && looks_like_text(child))
                ok = add(d, file_uri(child));
        }
        ok = ok && child;
        flo_free(child);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return ok;
}

static int add_operand(struct documents *d, const char *name)
{
    if (strstr(name, "://"))
        return add(d, flo_strdup(name)) ? 0 : FLO_EXIT_INTERNAL;
    char *path = realpath(name, NULL);
    struct stat st;
    int rc = 0;
    if (!path || stat(path, &st)) {
        fprintf(stderr, "flotilla documents: cannot read %s: %s\n", name, strerror(errno));
        rc = FLO_EXIT_NO_INPUT;
    } else if (!(S_ISDIR(st.st_mode) ? add_folder(d, path, 0) : add(d, file_uri(path)))) {
        fprintf(stderr, "flotilla documents: out of memory\n");
        rc = FLO_EXIT_INTERNAL;
    }
    free(path);
    return rc;
}

static json_t *input_of(void *ctx, size_t index)
{
    return json_pack("{s:s}", "uri", ((struct documents *)ctx)->uris[index]);
}

static void on_outcome(void *ctx, const struct cli_outcome *outcome)
{
    struct documents *d = ctx;
    if (outcome->error)
        d->errors[outcome->index] = flo_strdup(outcome->error);
    else
        d->results[outcome->index] = json_deep_copy(outcome->result);
}

static json_int_t number(const json_t *result, const char *key)
{
    return json_integer_value(json_object_get(result, key));
}

static void print_document(const char *uri, const json_t *result)
{
    char terms[80] = "";
    size_t i, n = 0;
    json_t *term;
    json_array_foreach(json_object_get(result, "top_terms"), i, term)
    {
        const char *text = json_string_value(json_object_get(term, "term"));
        if (text && n + strlen(text) + 2 < sizeof terms)
            n += (size_t)snprintf(terms + n, sizeof terms - n, "%s%s", n ? " " : "", text);
        if (i == 3)
            break;
    }
    const char *name = strncmp(uri, "file://", 7) == 0 ? uri + 7 : uri;
    size_t len = strlen(name);
    const char *language = json_string_value(json_object_get(result, "language"));
    printf("%s%-44s %9lld %9lld  %-8s %5zu  %s\n", len > 44 ? "…" : " ",
           len > 44 ? name + len - 43 : name, (long long)number(result, "words"),
           (long long)number(result, "distinct_terms"), language ? language : "",
           json_array_size(json_object_get(result, "near_duplicates")), terms);
}

#define SHOWN 20

static void print_table(const struct documents *d)
{
    size_t shown = 0, near = 0, done = 0;
    json_int_t words = 0;
    printf("\n %-44s %9s %9s  %-8s %5s  %s\n", "document", "words", "terms", "language", "near",
           "top terms");
    for (size_t i = 0; i < d->count; i++) {
        if (!d->results[i])
            continue;
        if (shown++ < SHOWN)
            print_document(d->uris[i], d->results[i]);
        done++;
        words += number(d->results[i], "words");
        near += json_array_size(json_object_get(d->results[i], "near_duplicates")) > 0;
    }
    if (shown > SHOWN)
        printf(" … and %zu more\n", shown - SHOWN);
    for (size_t i = 0; i < d->count; i++)
        if (d->errors[i])
            printf(" failed: %s: %s\n", d->uris[i], d->errors[i]);
    printf("\n%zu documents, %lld words, %zu with near-duplicates in the index\n", done,
           (long long)words, near);
}

static json_t *results_json(const struct documents *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->count; i++)
        json_array_append_new(list, d->results[i]
                                        ? json_incref(d->results[i])
                                        : json_pack("{s:s, s:s}", "uri", d->uris[i], "error",
                                                    d->errors[i] ? d->errors[i] : "unfinished"));
    return list;
}

static void documents_fini(struct documents *d)
{
    for (size_t i = 0; i < d->count; i++) {
        flo_free(d->uris[i]);
        if (d->results)
            json_decref(d->results[i]);
        if (d->errors)
            flo_free(d->errors[i]);
    }
    flo_free(d->uris);
    flo_free(d->results);
    flo_free(d->errors);
}

static int run(struct documents *d, const struct cli_options *options)
{
    struct cli_session session;
    struct cli_batch_report report;
    struct cli_usage before, after;
    const struct cli_batch_options batch = {
        .type = "DocumentWorkflow",
        .task_queue = options->task_queue ? options->task_queue : "document-workflow-queue",
        .id_prefix = "document",
        .count = d->count,
        .concurrency = options->concurrency > 0 ? (size_t)options->concurrency : 20,
        .timeout_ms = options->timeout_ms,
        .progress = !options->json,
        .server_timeout_ms = -1,
        .input = input_of,
        .on_outcome = on_outcome,
        .ctx = d,
    };
    int rc = cli_session_open_probed(&session, options);
    if (rc)
        return rc;
    cli_usage_read(options->fleet, &before);
    rc = cli_batch_run(&session, &batch, &report);
    cli_usage_read(options->fleet, &after);
    if (options->json) {
        json_t *answer = cli_batch_json(&report);
        json_object_set_new(answer, "documents", results_json(d));
        json_object_set_new(answer, "processes", cli_usage_json(&before, &after));
        cli_print_json(answer);
    } else {
        print_table(d);
        cli_batch_print(&report);
        cli_usage_print(&before, &after);
        if (*after.dashboard)
            printf("\ndashboard: %s\n", after.dashboard);
    }
    cli_session_close(&session);
    return rc;
}

int cli_documents(const struct cli_options *options)
{
    struct documents d = {0};
    int rc = 0;
    if (!options->operand_count) {
        fprintf(stderr, "flotilla documents: name files, folders or URLs\n");
        return FLO_EXIT_USAGE;
    }
    for (int i = 0; rc == 0 && i < options->operand_count; i++)
        rc = add_operand(&d, options->operands[i]);
    if (rc == 0 && d.count == 0) {
        fprintf(stderr, "flotilla documents: there is no text file in what was given\n");
        rc = FLO_EXIT_NO_INPUT;
    }
    if (rc == 0) {
        d.results = flo_calloc(d.count, sizeof(json_t *));
        d.errors = flo_calloc(d.count, sizeof(char *));
        rc = d.results && d.errors ? run(&d, options) : FLO_EXIT_INTERNAL;
    }
    documents_fini(&d);
    return rc;
}
