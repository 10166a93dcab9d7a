/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_sqlite.c - the document index in an SQLite file. Many workers share the file: WAL, a busy
 * timeout, and every change in one immediate transaction.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index.h"

#define BUSY_MS 2000 /* then the caller gives a sign of life and tries again */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS document ("
    " uri TEXT PRIMARY KEY, blob TEXT NOT NULL, bytes INTEGER NOT NULL, words INTEGER NOT NULL,"
    " distinct_terms INTEGER NOT NULL, language TEXT NOT NULL, top_terms TEXT NOT NULL,"
    " minhash TEXT NOT NULL, indexed_at TEXT NOT NULL DEFAULT (datetime('now'))) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS document_band ("
    " band INTEGER NOT NULL, hash INTEGER NOT NULL, uri TEXT NOT NULL,"
    " PRIMARY KEY (band, hash, uri)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS document_band_uri ON document_band (uri);";

static int fail(sqlite3 *db, struct flo_err *err, const char *what)
{
    int code = sqlite3_errcode(db) & 0xff;
    return flo_fail(err, code == SQLITE_BUSY || code == SQLITE_LOCKED ? FLO_ETIMEDOUT : FLO_EIO,
                    "the document index: %s: %s", what, sqlite3_errmsg(db));
}

static void close_db(void *handle)
{
    sqlite3_close_v2(handle);
}

static void make_folder(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700); /* what is wrong with it, sqlite3_open says */
        *slash = '/';
    }
}

static int open_db(const char *database, void **out_handle, struct flo_err *err)
{
    const char *path = strncmp(database, "sqlite://", 9) == 0 ? database + 9 : database;
    sqlite3 *db = NULL;
    make_folder(path);
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, BUSY_MS);
        rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", NULL, NULL,
                          NULL);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        rc = flo_fail(err, FLO_EIO, "cannot open the document index %s: %s", path,
                      db ? sqlite3_errmsg(db) : "out of memory");
        close_db(db);
        return rc;
    }
    *out_handle = db;
    return 0;
}

static int upsert_row(sqlite3 *db, const struct index_document *d)
{
    sqlite3_stmt *stmt = NULL;
    char hex[MINHASH_HEX_LEN + 1];
    char *top = json_dumps(d->top_terms, JSON_COMPACT);
    minhash_format(&d->signature, hex);
    int rc = sqlite3_prepare_v2(
        db,
        "INSERT INTO document (uri, blob, bytes, words, distinct_terms, language, top_terms,"
        " minhash) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (uri) DO UPDATE SET blob = excluded.blob,"
        " bytes = excluded.bytes, words = excluded.words,"
        " distinct_terms = excluded.distinct_terms, language = excluded.language,"
        " top_terms = excluded.top_terms, minhash = excluded.minhash,"
        " indexed_at = datetime('now')",
        -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, d->uri, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, d->blob, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 3, d->bytes);
        sqlite3_bind_int64(stmt, 4, d->words);
        sqlite3_bind_int64(stmt, 5, d->distinct_terms);
        sqlite3_bind_text(stmt, 6, d->language, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 7, top ? top : "[]", -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 8, hex, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    }
    sqlite3_finalize(stmt);
    free(top);
    return rc;
}

static int replace_bands(sqlite3 *db, const struct index_document *d)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "DELETE FROM document_band WHERE uri = ?", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, d->uri, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    }
    sqlite3_finalize(stmt);
    stmt = NULL;
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "INSERT INTO document_band (band, hash, uri) VALUES (?,?,?)",
                                -1, &stmt, NULL);
    for (unsigned band = 0; rc == SQLITE_OK && band < MINHASH_BANDS; band++) {
        sqlite3_bind_int(stmt, 1, (int)band);
        sqlite3_bind_int64(stmt, 2, (int64_t)minhash_band(&d->signature, band));
        sqlite3_bind_text(stmt, 3, d->uri, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int upsert(void *handle, const struct index_document *document, struct flo_err *err)
{
    sqlite3 *db = handle;
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, err, "begin");
    int rc = upsert_row(db, document);
    if (rc == SQLITE_OK)
        rc = replace_bands(db, document);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        rc = fail(db, err, "writing a document");
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

static int candidates(void *handle, const struct index_document *document,
                      void (*found)(void *ctx, const char *uri, const char *signature), void *ctx,
                      struct flo_err *err)
{
    sqlite3 *db = handle;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(
        db,
        "SELECT uri, minhash FROM document WHERE uri IN (SELECT other.uri FROM document_band AS own"
        " JOIN document_band AS other ON other.band = own.band AND other.hash = own.hash"
        " WHERE own.uri = ?1 AND other.uri <> ?1) ORDER BY uri LIMIT 100",
        -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, document->uri, -1, SQLITE_STATIC);
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
            found(ctx, (const char *)sqlite3_column_text(stmt, 0),
                  (const char *)sqlite3_column_text(stmt, 1));
    }
    rc = rc == SQLITE_DONE ? 0 : fail(db, err, "looking for near-duplicates");
    sqlite3_finalize(stmt);
    return rc;
}

static int ping(void *handle, struct flo_err *err)
{
    if (sqlite3_exec(handle, "SELECT 1 FROM document LIMIT 1", NULL, NULL, NULL) != SQLITE_OK)
        return fail(handle, err, "ping");
    return 0;
}

const struct index_backend index_sqlite = {
    .open = open_db, .close = close_db, .upsert = upsert, .candidates = candidates, .ping = ping};
