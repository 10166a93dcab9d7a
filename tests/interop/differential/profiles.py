# SPDX-License-Identifier: Apache-2.0
"""How the two servers are started: a scenario names one of these (@scenario(profile="...")). A profile costs a start of
both servers, two or three seconds: those that can share one do."""

PROFILES = {
    "default": {
        "ours": [],
        "real": ["--dynamic-config-value", "system.enableActivityEagerExecution=true",
                 "--dynamic-config-value", "frontend.namespaceRPS.visibility=100000",
                 "--dynamic-config-value", "frontend.globalNamespaceRPS.visibility=0",
                 "--dynamic-config-value", "frontend.namespaceBurstRatio.visibility=10.0",
                 "--dynamic-config-value", "frontend.MaxConcurrentBatchOperationPerNamespace=50"],
    },
    "workers": {
        "ours": [],
        "real": ["--dynamic-config-value", "frontend.WorkerHeartbeatsEnabled=true",
                 "--dynamic-config-value", "frontend.ListWorkersEnabled=true"],
    },
}
