#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/check_layers finds each kind of breach, and nothing in comments and strings."""
import os
import subprocess
import sys
import tempfile

CASES = [  # (file, content, what the output must hold; None: no breach)
    ("common/base/a.c", '#include "wire/api.h"\n', 'a.c:1: base may not include "wire/api.h"'),
    ("common/workflow/a.c", '#include "grpc/client.h"\n', "workflow may not include"),
    ("engine/a.c", '\n#include "worker/poll.h"\n', "a.c:2: engine may not include"),
    ("engine/core/a.c", '#include "grpc/server.h"\n', "engine/core may not include"),
    ("engine/core/a.c", '#include "engine/store/store.h"\n', "engine/core may not include"),
    ("engine/core/a.c", '#include "engine/shell.h"\n', "engine/core may not include"),
    ("engine/store/a.c", '#include "engine/core/run.h"\n', "engine/store may not include"),
    ("engine/rpc/a.c", '#include "grpc/server.h"\n', "engine/rpc may not include"),
    ("supervisor/a.c", '#include "engine/core/core.h"\n', "supervisor may not include"),
    ("modules/echo/a.c", '#include "base/arena.h"\n', "modules may not include"),
    ("cli/a.c", "void f(void) { x__unpack(0, 0, 0); }\n", "flo_wire_decode"),
    ("engine/a.c", "void f(void) { protobuf_c_message_unpack(0, 0, 0, 0); }\n", "flo_wire_decode"),
    ("tests/a.c", "void f(char *s) { strcpy (s, s); }\n", "strcpy() is banned"),
    ("common/grpc/a.c", '#include "http2/session.h"\n#include "base/buf.h"\n', None),
    ("engine/core/b.c", '#include "core/run.h"\n#include "flotilla/error.h"\n', None),
    ("engine/core/c.c", '#include "engine/core/run.h"\n#include "wire/api.h"\n', None),
    ("engine/store/c.c", '#include "engine/core/core.h"\n#include "base/buf.h"\n', None),
    ("engine/d.c", '#include "engine/rpc/routes.h"\n#include "grpc/server.h"\n', None),
    ("common/base/b.c", '/* system( */ // rand(\nconst char *s = "popen(";\n', None),
    ("common/base/c.c", "int my_rand(void); int f(struct x *x) { return x->system(1); }\n", None),
    ("common/wire/a.c", "void f(void) { x__unpack(0, 0, 0); }\n", None),
]

for path, content, expected in CASES:
    with tempfile.TemporaryDirectory() as root:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full))
        with open(full, "w", encoding="utf-8") as file:
            file.write(content)
        result = subprocess.run([sys.executable, sys.argv[1], root], capture_output=True, text=True)
        good = result.returncode == 0 if expected is None else (
            result.returncode == 1 and expected in result.stdout)
        if not good:
            sys.exit(f"{path}: expected {expected!r}, got {result.returncode}: {result.stdout}")
print(f"{len(CASES)} cases")
