/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reflection.c - descriptors of what is served.
 *
 * The schema's files are a FileDescriptorSet of the build (proto/CMakeLists.txt), bytes of the
 * executable. They describe messages only: services are declared nowhere in proto/, so that the
 * tables which serve methods are the one place that says what there is. A file for each service is
 * made of these tables. What the C generator wants of a .proto (its import, its file options) means
 * nothing to others and is left out of the copies that are handed out.
 *
 * Field numbers are those of google/protobuf/descriptor.proto.
 */
#include "engine/rpc/reflection.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/embed.h"
#include "base/utf8.h"
#include "grpc/status.h"
#include "wire/field.h"
#include "wire/varint.h"

#define GENERATOR_FILE "protobuf-c/protobuf-c.proto"

enum {
    FILES_MAX = 128,
    NAME_SHOWN_MAX = 256, /* bytes of a name in an error */
};

FLO_EMBED(flo_api_descriptors, FLO_PROTO_DESCRIPTORS);

enum { SET_FILE = 1 };
enum { FILE_NAME = 1, FILE_PACKAGE, FILE_DEPENDENCY, FILE_MESSAGE, FILE_ENUM, FILE_SERVICE };
enum { FILE_OPTIONS = 8, FILE_SYNTAX = 12 };
enum { MESSAGE_NAME = 1, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4 };
enum { SERVICE_NAME = 1, SERVICE_METHOD = 2 };
enum { METHOD_NAME = 1, METHOD_INPUT, METHOD_OUTPUT, METHOD_CLIENT_STREAMS = 5, METHOD_STREAMS };

/* Bytes of a descriptor, or text in one (not terminated). */
struct span {
    const uint8_t *data;
    size_t len;
};

struct file {
    struct flo_buf bytes; /* its FileDescriptorProto, as it is handed out */
    struct span name, package;
};

struct flo_reflection {
    struct file files[FILES_MAX];
    size_t file_count;
    char *services[FILES_MAX]; /* full names */
    size_t service_count;
};

/* ---- reading descriptors ---- */

static struct span text_span(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static bool same(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The next field of a message: its number, its value (WIRE_LEN) and the whole of it. False at the
 * end, and, with *at not at the end, for what is no message. */
static bool next_field(struct span *at, uint32_t *out_number, struct span *out_value,
                       struct span *out_whole)
{
    const uint8_t *p = at->data, *end = at->data + at->len;
    uint64_t tag, number;
    if (p == end || !flo_varint_get(&p, end, &tag))
        return false;
    *out_value = (struct span){0};
    switch (tag & 7) {
    case WIRE_VARINT:
        if (!flo_varint_get(&p, end, &number))
            return false;
        break;
    case WIRE_LEN:
        if (!flo_varint_get(&p, end, &number) || number > (size_t)(end - p))
            return false;
        *out_value = (struct span){p, (size_t)number};
        p += number;
        break;
    default: /* descriptors have nothing else that we read over */
        return false;
    }
    *out_number = (uint32_t)(tag >> 3);
    *out_whole = (struct span){at->data, (size_t)(p - at->data)};
    *at = (struct span){p, (size_t)(end - p)};
    return true;
}

/* The first field of that number; an empty span when there is none. */
static struct span find_field(struct span message, uint32_t number)
{
    struct span value, whole;
    uint32_t at;
    while (next_field(&message, &at, &value, &whole))
        if (at == number)
            return value;
    return (struct span){0};
}

/* Is there, in a file or a message, a message, enum or service of that name ("Outer.Inner")? */
static bool has_symbol(struct span parent, bool file, struct span name)
{
    const uint8_t *dot = memchr(name.data, '.', name.len);
    struct span first = {name.data, dot ? (size_t)(dot - name.data) : name.len}, value, whole;
    uint32_t number;
    while (next_field(&parent, &number, &value, &whole)) {
        bool message = number == (file ? FILE_MESSAGE : MESSAGE_NESTED);
        bool leaf = number == (file ? FILE_ENUM : MESSAGE_ENUM);
        bool service = file && number == FILE_SERVICE;
        if ((!message && !leaf && !service) || !same(find_field(value, MESSAGE_NAME), first))
            continue;
        if (!dot)
            return true;
        struct span rest = {dot + 1, name.len - first.len - 1};
        if (message)
            return has_symbol(value, false, rest);
        if (!service)
            return false;
        while (next_field(&value, &number, &whole, &first))
            if (number == SERVICE_METHOD && same(find_field(whole, METHOD_NAME), rest))
                return true;
        return false;
    }
    return false;
}

static struct span file_span(const struct file *file)
{
    return (struct span){file->bytes.data, file->bytes.len};
}

static const struct file *find_file(const struct flo_reflection *reflection, struct span name)
{
    for (size_t i = 0; i < reflection->file_count; i++)
        if (same(reflection->files[i].name, name))
            return &reflection->files[i];
    return NULL;
}

static const struct file *find_symbol(const struct flo_reflection *reflection, struct span symbol)
{
    for (size_t i = 0; i < reflection->file_count; i++) {
        const struct file *file = &reflection->files[i];
        size_t len = file->package.len;
        if (symbol.len <= len + 1 || symbol.data[len] != '.' ||
            memcmp(symbol.data, file->package.data, len) != 0)
            continue;
        struct span name = {symbol.data + len + 1, symbol.len - len - 1};
        if (has_symbol(file_span(file), true, name))
            return file;
    }
    return NULL;
}

/* ---- writing descriptors ---- */

static void put_varint(struct flo_buf *buf, uint64_t value)
{
    uint8_t bytes[FLO_VARINT_MAX];
    flo_buf_append(buf, bytes, (size_t)(flo_varint_put(bytes, value) - bytes));
}

static void put_bytes(struct flo_buf *buf, uint32_t field, const void *data, size_t len)
{
    put_varint(buf, field << 3 | WIRE_LEN);
    put_varint(buf, len);
    flo_buf_append(buf, data, len);
}

static void put_text(struct flo_buf *buf, uint32_t field, const char *text)
{
    put_bytes(buf, field, text, strlen(text));
}

static void put_true(struct flo_buf *buf, uint32_t field)
{
    put_varint(buf, field << 3 | WIRE_VARINT);
    put_varint(buf, 1);
}

/* Take bytes as the next file. */
static int add_file(struct flo_reflection *reflection, struct flo_buf *bytes)
{
    if (bytes->failed || reflection->file_count == FILES_MAX)
        return FLO_ENOMEM;
    struct file *file = &reflection->files[reflection->file_count++];
    file->bytes = *bytes;
    flo_buf_init(bytes, 0);
    file->name = find_field(file_span(file), FILE_NAME);
    file->package = find_field(file_span(file), FILE_PACKAGE);
    return file->name.len && file->package.len ? 0 : FLO_EDATA;
}

/* A file of the schema, without what is the C generator's. */
static int add_schema_file(struct flo_reflection *reflection, struct span from)
{
    struct flo_buf bytes;
    struct span value, whole;
    uint32_t number;
    flo_buf_init(&bytes, 0);
    while (next_field(&from, &number, &value, &whole))
        if (number != FILE_OPTIONS &&
            !(number == FILE_DEPENDENCY && same(value, text_span(GENERATOR_FILE))))
            flo_buf_append(&bytes, whole.data, whole.len);
    int rc = from.len > 0 ? FLO_EDATA : add_file(reflection, &bytes);
    flo_buf_fini(&bytes);
    return rc;
}

static int read_schema(struct flo_reflection *reflection)
{
    struct span set = {(const uint8_t *)flo_api_descriptors,
                       (size_t)(flo_api_descriptors_end - flo_api_descriptors)};
    struct span value, whole;
    uint32_t number;
    int rc = 0;
    while (!rc && next_field(&set, &number, &value, &whole))
        if (number == SET_FILE)
            rc = add_schema_file(reflection, value);
    return rc || set.len == 0 ? rc : FLO_EDATA;
}

/* A service while its file is written. */
struct service_draft {
    struct flo_buf file, service, method;
    const struct file *imported[FILES_MAX];
    size_t imported_count;
};

static void import(struct service_draft *draft, const struct file *file)
{
    for (size_t i = 0; i < draft->imported_count; i++)
        if (draft->imported[i] == file)
            return;
    draft->imported[draft->imported_count++] = file; /* no more than there are files */
    put_bytes(&draft->file, FILE_DEPENDENCY, file->name.data, file->name.len);
}

/* ".full.Name", imported. False: there is no such message. */
static bool put_type(const struct flo_reflection *reflection, struct service_draft *draft,
                     uint32_t field, const char *name)
{
    const struct file *file = find_symbol(reflection, text_span(name));
    if (!file)
        return false;
    import(draft, file);
    put_varint(&draft->method, field << 3 | WIRE_LEN);
    put_varint(&draft->method, strlen(name) + 1);
    flo_buf_append_str(&draft->method, ".");
    flo_buf_append_str(&draft->method, name);
    return true;
}

static void put_method(const struct flo_reflection *reflection, struct service_draft *draft,
                       const struct flo_reflection_method *method)
{
    static const char ending[] = "Request";
    char response[256];
    size_t stem = strlen(method->request);
    const char *output = method->response;
    if (!output && stem > strlen(ending) && stem < sizeof response - 16 &&
        strcmp(method->request + stem - strlen(ending), ending) == 0) {
        stem -= strlen(ending);
        memcpy(response, method->request, stem);
        memcpy(response + stem, "Response", sizeof "Response");
        output = response;
    }
    flo_buf_clear(&draft->method);
    put_text(&draft->method, METHOD_NAME, method->name);
    if (!output || !put_type(reflection, draft, METHOD_INPUT, method->request) ||
        !put_type(reflection, draft, METHOD_OUTPUT, output))
        return;
    if (method->client_streams)
        put_true(&draft->method, METHOD_CLIENT_STREAMS);
    if (method->server_streams)
        put_true(&draft->method, METHOD_STREAMS);
    put_bytes(&draft->service, SERVICE_METHOD, draft->method.data, draft->method.len);
}

/* The file of one service: the first count methods. */
static int add_service(struct flo_reflection *reflection,
                       const struct flo_reflection_method *methods, size_t count)
{
    const char *full = methods->service, *dot = strrchr(full, '.');
    struct service_draft draft = {0};
    char *name = flo_asprintf("%s.proto", full);
    int rc = FLO_ENOMEM;
    flo_buf_init(&draft.file, 0), flo_buf_init(&draft.service, 0), flo_buf_init(&draft.method, 0);
    reflection->services[reflection->service_count] = flo_strdup(full);
    if (!name || !reflection->services[reflection->service_count++])
        goto out;
    put_text(&draft.file, FILE_NAME, name);
    put_bytes(&draft.file, FILE_PACKAGE, full, (size_t)(dot - full));
    put_text(&draft.service, SERVICE_NAME, dot + 1);
    for (size_t i = 0; i < count; i++)
        put_method(reflection, &draft, &methods[i]);
    put_bytes(&draft.file, FILE_SERVICE, draft.service.data, draft.service.len);
    put_text(&draft.file, FILE_SYNTAX, "proto3");
    if (!draft.service.failed && !draft.method.failed)
        rc = add_file(reflection, &draft.file);
out:
    flo_free(name);
    flo_buf_fini(&draft.file), flo_buf_fini(&draft.service), flo_buf_fini(&draft.method);
    return rc;
}

int flo_reflection_new(const struct flo_reflection_method *methods, size_t count,
                       struct flo_reflection **out_reflection)
{
    struct flo_reflection *reflection = flo_calloc(1, sizeof *reflection);
    if (!reflection)
        return FLO_ENOMEM;
    int rc = read_schema(reflection);
    for (size_t i = 0, n; !rc && i < count; i += n) {
        for (n = 1; i + n < count && strcmp(methods[i + n].service, methods[i].service) == 0;)
            n++;
        rc = add_service(reflection, methods + i, n);
    }
    if (!rc) {
        *out_reflection = reflection;
        reflection = NULL;
    }
    flo_reflection_destroy(&reflection);
    return rc;
}

void flo_reflection_destroy(struct flo_reflection **reflection)
{
    struct flo_reflection *self = *reflection;
    *reflection = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->file_count; i++)
        flo_buf_fini(&self->files[i].bytes);
    for (size_t i = 0; i < self->service_count; i++)
        flo_free(self->services[i]);
    flo_free(self);
}

/* ---- answers ---- */

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;

#define ANSWER(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##kind

static bool answer_error(response_t *response, struct flo_arena *arena, int code, const char *what,
                         const char *name)
{
    Grpc__Reflection__V1__ErrorResponse *error = flo_arena_alloc(arena, sizeof *error);
    if (!error)
        return false;
    grpc__reflection__v1__error_response__init(error);
    error->error_code = code;
    const int shown = (int)flo_utf8_cut(name, strlen(name), NAME_SHOWN_MAX);
    error->error_message = flo_arena_printf(arena, "%s: %.*s", what, shown, name);
    response->error_response = error;
    response->message_response_case = ANSWER(ERROR_RESPONSE);
    return error->error_message;
}

static bool answer_file(response_t *response, struct flo_arena *arena, const struct file *file,
                        const char *what, const char *name)
{
    Grpc__Reflection__V1__FileDescriptorResponse *files;
    if (!file)
        return answer_error(response, arena, FLO_GRPC_NOT_FOUND, what, name);
    files = flo_arena_alloc(arena, sizeof *files);
    ProtobufCBinaryData *bytes = flo_arena_alloc(arena, sizeof *bytes);
    if (!files || !bytes)
        return false;
    grpc__reflection__v1__file_descriptor_response__init(files);
    *bytes = (ProtobufCBinaryData){.data = file->bytes.data, .len = file->bytes.len};
    files->file_descriptor_proto = bytes;
    files->n_file_descriptor_proto = 1;
    response->file_descriptor_response = files;
    response->message_response_case = ANSWER(FILE_DESCRIPTOR_RESPONSE);
    return true;
}

/* Our schema has no extensions: a message that there is has none. */
static bool answer_extensions(const struct flo_reflection *reflection, response_t *response,
                              struct flo_arena *arena, char *type)
{
    Grpc__Reflection__V1__ExtensionNumberResponse *numbers;
    if (!find_symbol(reflection, text_span(type)))
        return answer_error(response, arena, FLO_GRPC_NOT_FOUND, "unknown type", type);
    numbers = flo_arena_alloc(arena, sizeof *numbers);
    if (!numbers)
        return false;
    grpc__reflection__v1__extension_number_response__init(numbers);
    numbers->base_type_name = type;
    response->all_extension_numbers_response = numbers;
    response->message_response_case = ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE);
    return true;
}

static bool answer_services(const struct flo_reflection *reflection, response_t *response,
                            struct flo_arena *arena)
{
    Grpc__Reflection__V1__ListServiceResponse *list = flo_arena_alloc(arena, sizeof *list);
    size_t count = reflection->service_count;
    Grpc__Reflection__V1__ServiceResponse *services =
        flo_arena_calloc(arena, count, sizeof *services);
    if (!list || !services)
        return false;
    grpc__reflection__v1__list_service_response__init(list);
    list->service = flo_arena_calloc(arena, count, sizeof(void *));
    if (!list->service)
        return false;
    for (size_t i = 0; i < count; i++) {
        grpc__reflection__v1__service_response__init(&services[i]);
        services[i].name = reflection->services[i];
        list->service[list->n_service++] = &services[i];
    }
    response->list_services_response = list;
    response->message_response_case = ANSWER(LIST_SERVICES_RESPONSE);
    return true;
}

#define ASKS(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##kind

response_t *flo_reflection_answer(const struct flo_reflection *reflection, request_t *request,
                                  struct flo_arena *arena)
{
    response_t *response = flo_arena_alloc(arena, sizeof *response);
    bool ok;
    if (!response)
        return NULL;
    grpc__reflection__v1__server_reflection_response__init(response);
    response->valid_host = request->host;
    response->original_request = request;
    switch (request->message_request_case) {
    case ASKS(FILE_BY_FILENAME):
        ok = answer_file(response, arena,
                         find_file(reflection, text_span(request->file_by_filename)),
                         "unknown file", request->file_by_filename);
        break;
    case ASKS(FILE_CONTAINING_SYMBOL):
        ok = answer_file(response, arena,
                         find_symbol(reflection, text_span(request->file_containing_symbol)),
                         "unknown symbol", request->file_containing_symbol);
        break;
    case ASKS(FILE_CONTAINING_EXTENSION):
        ok = answer_error(response, arena, FLO_GRPC_NOT_FOUND, "unknown extension of",
                          request->file_containing_extension->containing_type);
        break;
    case ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE):
        ok = answer_extensions(reflection, response, arena, request->all_extension_numbers_of_type);
        break;
    case ASKS(LIST_SERVICES):
        ok = answer_services(reflection, response, arena);
        break;
    default:
        ok = answer_error(response, arena, FLO_GRPC_INVALID_ARGUMENT, "nothing is asked", "");
        break;
    }
    return ok ? response : NULL;
}
