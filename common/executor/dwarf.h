/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dwarf.h - names for addresses, by elfutils' libdw and, where it knows none or is not there, by
 * the dynamic linker (private to this folder). libdw is loaded by flo_dwarf_open and nowhere else,
 * in processes that live for this only.
 */
#ifndef FLO_EXECUTOR_DWARF_H
#define FLO_EXECUTOR_DWARF_H

#include "executor/crash.h"

#if FLO_LIBDW
#include <elfutils/libdwfl.h>
#endif

struct flo_dwarf {
#if FLO_LIBDW
    Dwfl *session;
    Dwfl_Callbacks callbacks;
    char *debuginfo_path;
    __typeof__(&dwfl_begin) begin;
    __typeof__(&dwfl_report_elf) report_elf;
    __typeof__(&dwfl_report_end) report_end;
    __typeof__(&dwfl_addrmodule) addrmodule;
    __typeof__(&dwfl_module_addrname) addrname;
    __typeof__(&dwfl_module_getsrc) getsrc;
    __typeof__(&dwfl_lineinfo) lineinfo;
#else
    char none;
#endif
};

/* Load the library and begin; without it nothing is found. */
void flo_dwarf_open(struct flo_dwarf *dw);
/* A module of the process: its file, and where it is loaded. Each once, then flo_dwarf_ready. */
void flo_dwarf_module(struct flo_dwarf *dw, const char *file, uint64_t bias);
void flo_dwarf_ready(struct flo_dwarf *dw);
/* Function, file and line at address, as far as they are known; what is not stays as it was. */
void flo_dwarf_find(const struct flo_dwarf *dw, uint64_t address, struct flo_crash_symbol *symbol);
/* The same by the dynamic linker, for a module of this process that is loaded at bias. */
void flo_linker_find(uint64_t address, uint64_t bias, struct flo_crash_symbol *symbol);

#endif
