/* SPDX-License-Identifier: Apache-2.0 */
/* test_names.c - every event and command type of the schema is in the tables. */
#include "workflow/names.h"

#include <string.h>

#include "support/cmocka_env.h"

static void test_every_event_type_has_a_kind(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *types = &flo_api__event_type__descriptor;
    for (unsigned i = 0; i < types->n_values; i++) {
        const struct flo_event_kind *kind =
            flo_event_kind((FloApi__EventType)types->values[i].value);
        if (types->values[i].value == 0)
            continue;
        assert_int_not_equal(kind->class, FLO_EVENT_UNKNOWN);
        assert_int_equal(kind->class == FLO_EVENT_COMMAND, kind->command != 0);
        if (kind->command)
            assert_string_not_equal(flo_command_name(kind->command), "UnknownCommand");
    }
    assert_int_equal(flo_event_kind((FloApi__EventType)9999)->class, FLO_EVENT_UNKNOWN);
    assert_int_equal(flo_event_kind((FloApi__EventType)-1)->class, FLO_EVENT_UNKNOWN);
}

static void test_every_command_type_has_a_name(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *types = &flo_api__command_type__descriptor;
    for (unsigned i = 0; i < types->n_values; i++) {
        if (types->values[i].value)
            assert_string_not_equal(flo_command_name((FloApi__CommandType)types->values[i].value),
                                    "UnknownCommand");
    }
    assert_string_equal(flo_command_name((FloApi__CommandType)999), "UnknownCommand");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_event_type_has_a_kind),
        cmocka_unit_test(test_every_command_type_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
