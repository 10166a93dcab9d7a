/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - error codes and error sentences, shared by every layer and by user code.
 *
 * A function that can fail returns 0 or one of the negative codes below and leaves its outputs
 * untouched. Where a person will read the reason it also takes a struct flo_err and fills it with
 * one full sentence. Codes of libraries (errno, SQLite, nghttp2, gRPC) are mapped to these at the
 * border of the module that calls them.
 */
#ifndef FLOTILLA_ERROR_H
#define FLOTILLA_ERROR_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what libflotilla exports; everything else is hidden. */
#define FLO_API __attribute__((visibility("default")))

/* The caller must look at the result. */
#define FLO_MUST_CHECK __attribute__((warn_unused_result))

/* FLO_ERRORS(X): X(name, value, text). The values are stable. */
#define FLO_ERRORS(X)                                                                              \
    X(FLO_ENOMEM, -1, "out of memory")                                                             \
    X(FLO_EINVAL, -2, "invalid argument")                                                          \
    X(FLO_ENOENT, -3, "not found")                                                                 \
    X(FLO_EEXIST, -4, "already exists")                                                            \
    X(FLO_EFULL, -5, "a bounded queue or buffer is full")                                          \
    X(FLO_ECLOSED, -6, "closed")                                                                   \
    X(FLO_ETIMEDOUT, -7, "timed out")                                                              \
    X(FLO_ECANCELLED, -8, "cancelled")                                                             \
    X(FLO_EIO, -9, "input/output error")                                                           \
    X(FLO_EPROTO, -10, "the peer sent malformed data")                                             \
    X(FLO_ELIMIT, -11, "a limit was exceeded")                                                     \
    X(FLO_ECONN, -12, "the peer cannot be reached")                                                \
    X(FLO_ERPC, -13, "the server refused the call")                                                \
    X(FLO_ECONFIG, -14, "invalid configuration")                                                   \
    X(FLO_EFAILED, -15, "the operation failed; its failure says why")                              \
    X(FLO_ENONDET, -16, "workflow code does not match its history")                                \
    X(FLO_EPERM, -17, "not permitted")                                                             \
    X(FLO_EDATA, -18, "stored data is damaged")                                                    \
    X(FLO_ESYS, -19, "an operating system call failed")                                            \
    X(FLO_EUNIMPL, -20, "not supported")                                                           \
    X(FLO_EPENDING, -21, "not finished: the result comes later")                                   \
    X(FLO_ECONTINUE, -22, "the workflow continues as a new run")                                   \
    X(FLO_ETASK, -23, "the workflow task failed and is tried again")                               \
    X(FLO_ESTATE, -24, "not possible here or now")

enum flo_error {
#define FLO_ERROR_ENUM(name, value, text) name = (value),
    FLO_ERRORS(FLO_ERROR_ENUM)
#undef FLO_ERROR_ENUM
};

/* One error for a person: a code and a sentence that says what failed, where, and what to do. */
struct flo_err {
    int code;          /* 0 or FLO_E... */
    char message[512]; /* UTF-8, cut at the end when longer, never empty once code is set */
};

/*
 * Fill err (NULL is fine) with code and the formatted sentence; returns code, so that a function
 * can end in `return flo_fail(err, FLO_EINVAL, "...")`. Any thread.
 */
FLO_API int flo_fail(struct flo_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* sees no body: that what it returns is code, it is told */
#define flo_fail(err, code, ...) (flo_fail((err), (code), __VA_ARGS__), (code))
#endif

/* Put "prefix: " in front of the sentence that err already holds. NULL is fine. */
FLO_API void flo_err_prefix(struct flo_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "FLO_EINVAL" for FLO_EINVAL, "FLO_OK" for 0, "FLO_E?" for a number that is no code. Static. */
FLO_API const char *flo_error_name(int code);

/* The short text of the table above. Static. */
FLO_API const char *flo_error_text(int code);

#ifdef __cplusplus
}
#endif
#endif
