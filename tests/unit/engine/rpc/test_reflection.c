/* SPDX-License-Identifier: Apache-2.0 */
/* test_reflection.c - the schema as it is told: files, symbols, services. */
#include "engine/rpc/reflection.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "grpc/status.h"

#define CASE(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##kind
#define ASKS(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##kind

struct fixture {
    struct flo_reflection *reflection;
    struct flo_arena arena;
};

static int setup(void **state)
{
    static struct fixture fixture;
    static const struct flo_reflection_method methods[] = {
        {.service = "temporal.api.workflowservice.v1.WorkflowService",
         .name = "SignalWorkflowExecution",
         .request = "temporal.api.workflowservice.v1.SignalWorkflowExecutionRequest"},
        {.service = "temporal.api.workflowservice.v1.WorkflowService",
         .name = "NoSuchMessage",
         .request = "temporal.api.workflowservice.v1.NoSuchRequest"},
        {.service = "grpc.health.v1.Health",
         .name = "Watch",
         .request = "grpc.health.v1.HealthCheckRequest",
         .server_streams = true},
    };
    flo_arena_init(&fixture.arena, 0);
    *state = &fixture;
    return flo_reflection_new(methods, sizeof methods / sizeof *methods, &fixture.reflection);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    flo_reflection_destroy(&fixture->reflection);
    flo_arena_fini(&fixture->arena);
    return 0;
}

static Grpc__Reflection__V1__ServerReflectionResponse *ask(struct fixture *fixture, int kind,
                                                           const char *text)
{
    static Grpc__Reflection__V1__ServerReflectionRequest request;
    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = kind;
    if (kind == ASKS(FILE_BY_FILENAME))
        request.file_by_filename = (char *)(uintptr_t)text;
    else if (kind == ASKS(FILE_CONTAINING_SYMBOL))
        request.file_containing_symbol = (char *)(uintptr_t)text;
    else if (kind == ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE))
        request.all_extension_numbers_of_type = (char *)(uintptr_t)text;
    Grpc__Reflection__V1__ServerReflectionResponse *response =
        flo_reflection_answer(fixture->reflection, &request, &fixture->arena);
    assert_non_null(response);
    assert_ptr_equal(response->original_request, &request);
    return response;
}

/* Is text anywhere in the one file of the answer? */
static bool tells(const Grpc__Reflection__V1__ServerReflectionResponse *response, const char *text)
{
    if (response->message_response_case != CASE(FILE_DESCRIPTOR_RESPONSE))
        return false;
    const ProtobufCBinaryData *file = response->file_descriptor_response->file_descriptor_proto;
    return memmem(file->data, file->len, text, strlen(text)) != NULL;
}

static int code(const Grpc__Reflection__V1__ServerReflectionResponse *response)
{
    return response->message_response_case == CASE(ERROR_RESPONSE)
               ? response->error_response->error_code
               : FLO_GRPC_OK;
}

/* Services by name, in the order of the methods. */
static void test_services_are_listed(void **state)
{
    const Grpc__Reflection__V1__ServerReflectionResponse *response =
        ask(*state, ASKS(LIST_SERVICES), "");
    assert_int_equal(response->message_response_case, CASE(LIST_SERVICES_RESPONSE));
    assert_int_equal(response->list_services_response->n_service, 2);
    assert_string_equal(response->list_services_response->service[1]->name,
                        "grpc.health.v1.Health");
}

/* A service's file has its methods with their types, and imports what they need. */
static void test_service_files_are_complete(void **state)
{
    const Grpc__Reflection__V1__ServerReflectionResponse *response = ask(
        *state, ASKS(FILE_CONTAINING_SYMBOL), "temporal.api.workflowservice.v1.WorkflowService");
    assert_true(tells(response, "SignalWorkflowExecution"));
    assert_true(
        tells(response, ".temporal.api.workflowservice.v1.SignalWorkflowExecutionResponse"));
    assert_true(tells(response, "service.proto"));
    assert_false(tells(response, "NoSuchMessage"));
    assert_true(tells(ask(*state, ASKS(FILE_BY_FILENAME), "grpc.health.v1.Health.proto"),
                      ".grpc.health.v1.HealthCheckResponse"));
    assert_true(
        tells(ask(*state, ASKS(FILE_CONTAINING_SYMBOL), "grpc.health.v1.Health.Watch"), "Watch"));
}

/* Messages, nested ones and enums are found by name; the C generator's options are not told. */
static void test_symbols_are_found(void **state)
{
    static const char *const known[] = {"temporal.api.common.v1.Payload",
                                        "temporal.api.common.v1.Payload.MetadataEntry",
                                        "temporal.api.enums.v1.EventType",
                                        "google.protobuf.Duration",
                                        "grpc.health.v1.HealthCheckResponse.ServingStatus",
                                        "grpc.reflection.v1alpha.ServerReflectionRequest"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const Grpc__Reflection__V1__ServerReflectionResponse *response =
            ask(*state, ASKS(FILE_CONTAINING_SYMBOL), known[i]);
        assert_true(tells(response, strrchr(known[i], '.') + 1));
        assert_false(tells(response, "protobuf-c/"));
    }
    assert_true(tells(ask(*state, ASKS(FILE_BY_FILENAME), "common.proto"), "Payload"));
}

/* What there is not is NOT_FOUND; nothing asked is INVALID_ARGUMENT. */
static void test_unknown_names_are_not_found(void **state)
{
    static const char *const unknown[] = {"",
                                          ".",
                                          "Payload",
                                          "temporal.api.common.v1",
                                          "temporal.api.common.v1.",
                                          "temporal.api.common.v1.Nope",
                                          "temporal.api.common.v1.Payload.Nope",
                                          "temporal.api.common.v1.Payload.data",
                                          "temporal.api.enums.v1.EventType.X",
                                          "grpc.health.v1.Health.Nope",
                                          "flotilla.engine.v1.ExecutionState"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(code(ask(*state, ASKS(FILE_CONTAINING_SYMBOL), unknown[i])),
                         FLO_GRPC_NOT_FOUND);
    assert_int_equal(code(ask(*state, ASKS(FILE_BY_FILENAME), "nope.proto")), FLO_GRPC_NOT_FOUND);
    assert_int_equal(code(ask(*state, ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE), "a.B")),
                     FLO_GRPC_NOT_FOUND);
    assert_int_equal(
        code(ask(*state, ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE), "temporal.api.common.v1.Payload")),
        FLO_GRPC_OK);
    assert_int_equal(code(ask(*state, 0, "")), FLO_GRPC_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services_are_listed),
        cmocka_unit_test(test_service_files_are_complete),
        cmocka_unit_test(test_symbols_are_found),
        cmocka_unit_test(test_unknown_names_are_not_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
