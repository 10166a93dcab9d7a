/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codecs.c - a module with a codec of its own, which keeps texts backwards and refuses to write
 * some, and a workflow and an activity that know nothing of it: for tests with real workers.
 */
#include <string.h>

#include <flotilla/codec.h>
#include <flotilla/worker.h>

/* ---- the codec ---- */

static int turn(const struct flo_payload *in, struct flo_payload_writer *out, const char *encoding)
{
    size_t len;
    const char *text = flo_payload_data(in, &len);
    char *room = flo_payload_write_room(out, len);

    if (!room)
        return FLO_ENOMEM;
    for (size_t i = 0; i < len; i++)
        room[i] = text[len - 1 - i];
    return flo_payload_write_metadata(out, "encoding", encoding, strlen(encoding));
}

static int encode(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err)
{
    static const char refused[] = "\"not to be written\"";
    size_t len;
    const char *text = flo_payload_data(in, &len);

    (void)ctx;
    if (!flo_payload_encoded_as(in, "json/plain"))
        return FLO_CODEC_PASS;
    if (len == sizeof refused - 1 && memcmp(text, refused, len) == 0)
        return flo_fail(err, FLO_EIO, "the key server is away");
    return turn(in, out, "text/reversed");
}

static int decode(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err)
{
    (void)ctx, (void)err;
    return flo_payload_encoded_as(in, "text/reversed") ? turn(in, out, "json/plain")
                                                       : FLO_CODEC_PASS;
}

/* ---- what runs ---- */

static int backwards(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_activity_options options = {.start_to_close_ms = 10000};

    return flo_activity(wf, "backwards_echo", input, &options, out_result);
}

static int backwards_echo(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "codecs",
    .workflows = FLO_WORKFLOWS({"Backwards", backwards}),
    .activities = FLO_ACTIVITIES({"backwards_echo", backwards_echo}),
    .codecs = FLO_CODECS({"backwards", encode, decode, NULL}),
};
