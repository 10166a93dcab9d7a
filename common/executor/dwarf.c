/* SPDX-License-Identifier: Apache-2.0 */
/* dwarf.c - see dwarf.h. */
#include "executor/dwarf.h"

#include <dlfcn.h>
#include <link.h>

#if FLO_LIBDW
static bool load(struct flo_dwarf *dw)
{
    void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return false;
    *(void **)&dw->begin = dlsym(library, "dwfl_begin");
    *(void **)&dw->report_elf = dlsym(library, "dwfl_report_elf");
    *(void **)&dw->report_end = dlsym(library, "dwfl_report_end");
    *(void **)&dw->addrmodule = dlsym(library, "dwfl_addrmodule");
    *(void **)&dw->addrname = dlsym(library, "dwfl_module_addrname");
    *(void **)&dw->getsrc = dlsym(library, "dwfl_module_getsrc");
    *(void **)&dw->lineinfo = dlsym(library, "dwfl_lineinfo");
    *(void **)&dw->callbacks.find_debuginfo = dlsym(library, "dwfl_standard_find_debuginfo");
    *(void **)&dw->callbacks.find_elf = dlsym(library, "dwfl_build_id_find_elf");
    dw->callbacks.debuginfo_path = &dw->debuginfo_path;
    return dw->begin && dw->report_elf && dw->report_end && dw->addrmodule && dw->addrname &&
           dw->getsrc && dw->lineinfo && dw->callbacks.find_debuginfo && dw->callbacks.find_elf;
}

void flo_dwarf_open(struct flo_dwarf *dw)
{
    if (load(dw))
        dw->session = dw->begin(&dw->callbacks);
}

void flo_dwarf_module(struct flo_dwarf *dw, const char *file, uint64_t bias)
{
    if (dw->session)
        (void)dw->report_elf(dw->session, file, file, -1, bias, true);
}

void flo_dwarf_ready(struct flo_dwarf *dw)
{
    if (dw->session)
        (void)dw->report_end(dw->session, NULL, NULL);
}

void flo_dwarf_find(const struct flo_dwarf *dw, uint64_t address, struct flo_crash_symbol *symbol)
{
    Dwfl_Module *module = dw->session ? dw->addrmodule(dw->session, address) : NULL;
    Dwarf_Addr place = address;
    Dwfl_Line *line;
    int column = 0;

    if (!module)
        return;
    symbol->function = dw->addrname(module, place);
    line = dw->getsrc(module, place);
    if (line)
        symbol->file = dw->lineinfo(line, &place, &symbol->line, &column, NULL, NULL);
}
#else
void flo_dwarf_open(struct flo_dwarf *dw)
{
    dw->none = 0;
}

void flo_dwarf_module(struct flo_dwarf *dw, const char *file, uint64_t bias)
{
    (void)dw;
    (void)file;
    (void)bias;
}

void flo_dwarf_ready(struct flo_dwarf *dw)
{
    (void)dw;
}

void flo_dwarf_find(const struct flo_dwarf *dw, uint64_t address, struct flo_crash_symbol *symbol)
{
    (void)dw;
    (void)address;
    (void)symbol;
}
#endif

void flo_linker_find(uint64_t address, uint64_t bias, struct flo_crash_symbol *symbol)
{
    void *place = (void *)(uintptr_t)address;
    struct dl_find_object found;
    Dl_info info;

    if (_dl_find_object(place, &found) == 0 && found.dlfo_link_map->l_addr == bias &&
        dladdr(place, &info) != 0 && info.dli_sname)
        symbol->function = info.dli_sname;
}
