/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trim.c - giving back what only the start needed.
 *
 * Starting up touches far more code than running: the loader, the initialisers of forty shared
 * libraries, the YAML parser. Those pages of program text stay resident although nothing looks at
 * them again. Letting go of every read-only page once, after the start, leaves what the process
 * really uses: the next use of a page maps it again from the page cache, which costs about a
 * microsecond. Measured on an idle worker: see docs/architecture.md, "Memory".
 *
 * Only segments that the program headers call read-only are touched; relocated data lies in
 * writable segments (RELRO is made read-only later) and would be lost. Under a debugger nothing is
 * done, since breakpoints are private copies of text pages.
 */
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/process.h"

static bool is_traced(void)
{
    char line[128];
    int tracer = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "TracerPid: %d", &tracer) == 1)
            break;
    if (status)
        fclose(status);
    return tracer != 0;
}

static int trim_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    const uintptr_t page = *(const uintptr_t *)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
        if (end > start)
            madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void flo_process_trim(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    malloc_trim(0);
    if (!is_traced())
        dl_iterate_phdr(trim_object, &page);
}
