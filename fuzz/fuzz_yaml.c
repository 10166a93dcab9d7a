/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_yaml.c - any bytes as a configuration file: a tree, or one line that says why not. */
#include <string.h>

#include "config/yaml.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flo_yaml yaml;
    struct flo_err err = {0};
    int rc = flo_yaml_parse("fuzz.yaml", (const char *)data, size, &yaml, &err);
    FUZZ_CHECK(!rc || (err.message[0] && !strchr(err.message, '\n')));
    FUZZ_CHECK(rc || (yaml.root && yaml.root->kind == FLO_YAML_MAP));
    flo_yaml_free(&yaml);
    return 0;
}
