/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_postgres.c - the document index in PostgreSQL; the plugin that brings libpq. libpq's
 * messages may quote the DSN's host and user, never its password.
 */
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS document ("
    " uri TEXT PRIMARY KEY, blob TEXT NOT NULL, bytes BIGINT NOT NULL, words BIGINT NOT NULL,"
    " distinct_terms BIGINT NOT NULL, language TEXT NOT NULL, top_terms JSONB NOT NULL,"
    " minhash TEXT NOT NULL, indexed_at TIMESTAMPTZ NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS document_band ("
    " band INTEGER NOT NULL, hash BIGINT NOT NULL,"
    " uri TEXT NOT NULL REFERENCES document ON DELETE CASCADE, PRIMARY KEY (band, hash, uri));"
    "CREATE INDEX IF NOT EXISTS document_band_uri ON document_band (uri);";

static int fail(PGconn *db, struct flo_err *err, const char *what)
{
    const char *text = PQerrorMessage(db);
    int len = (int)strcspn(text, "\n");
    return flo_fail(err, FLO_EIO, "the document index: %s: %.*s", what, len, text);
}

/* Run one statement; true when it gave what was wanted. */
static bool run(PGconn *db, const char *sql, int count, const char *const *values,
                ExecStatusType wanted, PGresult **out_result)
{
    PGresult *result = PQexecParams(db, sql, count, NULL, values, NULL, NULL, 0);
    bool ok = PQresultStatus(result) == wanted;
    if (ok && out_result)
        *out_result = result;
    else
        PQclear(result);
    return ok;
}

static bool command(PGconn *db, const char *sql)
{
    return run(db, sql, 0, NULL, PGRES_COMMAND_OK, NULL);
}

static void close_db(void *handle)
{
    PQfinish(handle);
}

static void quiet(void *ctx, const char *message)
{
    (void)ctx;
    (void)message; /* "relation already exists, skipping" */
}

static int open_db(const char *database, void **out_handle, struct flo_err *err)
{
    PGconn *db = PQconnectdb(database);
    if (!db)
        return flo_fail(err, FLO_ENOMEM, "no memory for a database connection");
    int rc = 0;
    if (PQstatus(db) != CONNECTION_OK) {
        rc = fail(db, err, "connecting");
    } else {
        PQsetNoticeProcessor(db, quiet, NULL);
        /* Many workers may come up at once: one of them makes the tables. */
        PGresult *result = NULL;
        bool ok = command(db, "BEGIN") && run(db, "SELECT pg_advisory_xact_lock(4610117)", 0, NULL,
                                              PGRES_TUPLES_OK, &result);
        PQclear(result);
        if (ok) {
            result = PQexec(db, schema);
            ok = PQresultStatus(result) == PGRES_COMMAND_OK;
            PQclear(result);
        }
        if (!ok || !command(db, "COMMIT"))
            rc = fail(db, err, "making the tables");
    }
    if (rc) {
        close_db(db);
        return rc;
    }
    *out_handle = db;
    return 0;
}

static bool upsert_row(PGconn *db, const struct index_document *d)
{
    char bytes[24], words[24], terms[24], hex[MINHASH_HEX_LEN + 1];
    char *top = json_dumps(d->top_terms, JSON_COMPACT);
    snprintf(bytes, sizeof bytes, "%" PRId64, d->bytes);
    snprintf(words, sizeof words, "%" PRId64, d->words);
    snprintf(terms, sizeof terms, "%" PRId64, d->distinct_terms);
    minhash_format(&d->signature, hex);
    const char *values[] = {d->uri,      d->blob,          bytes, words, terms,
                            d->language, top ? top : "[]", hex};
    bool ok = run(db,
                  "INSERT INTO document (uri, blob, bytes, words, distinct_terms, language,"
                  " top_terms, minhash) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)"
                  " ON CONFLICT (uri) DO UPDATE SET blob = excluded.blob, bytes = excluded.bytes,"
                  " words = excluded.words, distinct_terms = excluded.distinct_terms,"
                  " language = excluded.language, top_terms = excluded.top_terms,"
                  " minhash = excluded.minhash, indexed_at = now()",
                  8, values, PGRES_COMMAND_OK, NULL);
    free(top);
    return ok;
}

static bool replace_bands(PGconn *db, const struct index_document *d)
{
    char band_text[16], hash_text[24];
    const char *values[] = {d->uri, band_text, hash_text};
    bool ok =
        run(db, "DELETE FROM document_band WHERE uri = $1", 1, values, PGRES_COMMAND_OK, NULL);
    for (unsigned band = 0; ok && band < MINHASH_BANDS; band++) {
        snprintf(band_text, sizeof band_text, "%u", band);
        snprintf(hash_text, sizeof hash_text, "%" PRId64,
                 (int64_t)minhash_band(&d->signature, band));
        ok = run(db, "INSERT INTO document_band (uri, band, hash) VALUES ($1,$2,$3)", 3, values,
                 PGRES_COMMAND_OK, NULL);
    }
    return ok;
}

static int upsert(void *handle, const struct index_document *document, struct flo_err *err)
{
    PGconn *db = handle;
    if (!command(db, "BEGIN"))
        return fail(db, err, "begin");
    if (upsert_row(db, document) && replace_bands(db, document) && command(db, "COMMIT"))
        return 0;
    int rc = fail(db, err, "writing a document");
    command(db, "ROLLBACK");
    return rc;
}

static int candidates(void *handle, const struct index_document *document,
                      void (*found)(void *ctx, const char *uri, const char *signature), void *ctx,
                      struct flo_err *err)
{
    const char *values[] = {document->uri};
    PGresult *result = NULL;
    if (!run(handle,
             "SELECT uri, minhash FROM document WHERE uri IN (SELECT other.uri"
             " FROM document_band AS own JOIN document_band AS other"
             " ON other.band = own.band AND other.hash = own.hash"
             " WHERE own.uri = $1 AND other.uri <> $1) ORDER BY uri LIMIT 100",
             1, values, PGRES_TUPLES_OK, &result))
        return fail(handle, err, "looking for near-duplicates");
    for (int i = 0; i < PQntuples(result); i++)
        found(ctx, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
    PQclear(result);
    return 0;
}

static int ping(void *handle, struct flo_err *err)
{
    return run(handle, "SELECT 1", 0, NULL, PGRES_TUPLES_OK, NULL) ? 0 : fail(handle, err, "ping");
}

FLO_API extern const struct index_backend index_postgres;
const struct index_backend index_postgres = {
    .open = open_db, .close = close_db, .upsert = upsert, .candidates = candidates, .ping = ping};
