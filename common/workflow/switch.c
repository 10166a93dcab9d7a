/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.c - saving and restoring the registers that a function call preserves.
 *
 * x86-64 (System V ABI 3.2.1): rbx, rbp, r12-r15, the x87 control word, mxcsr's control bits.
 * aarch64 (AAPCS64 6.1): x19-x30, d8-d15. The first switch into a new context "returns" into
 * flo_context_entry, which calls the entry function out of two of those registers and ends the
 * call chain for unwinders (return address undefined).
 */
#include "workflow/switch.h"

#include <stdint.h>
#include <string.h>

#ifdef FLO_UCONTEXT

static void trampoline(unsigned entry_hi, unsigned entry_lo, unsigned arg_hi, unsigned arg_lo)
{
    uintptr_t entry = (uintptr_t)((uint64_t)entry_hi << 32 | entry_lo);
    uintptr_t arg = (uintptr_t)((uint64_t)arg_hi << 32 | arg_lo);
    ((void (*)(void *))entry)((void *)arg);
}

void flo_context_make(struct flo_context *context, void *stack, size_t bytes,
                      void (*entry)(void *arg), void *arg)
{
    getcontext(&context->uc);
    context->uc.uc_stack.ss_sp = stack;
    context->uc.uc_stack.ss_size = bytes;
    context->uc.uc_link = NULL;
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;
    makecontext(&context->uc, (void (*)(void))trampoline, 4, (unsigned)(e >> 32), (unsigned)e,
                (unsigned)(a >> 32), (unsigned)a);
}

bool flo_context_switching(uintptr_t pc)
{
    (void)pc; /* libc's own, which says how to unwind it */
    return false;
}

void flo_context_switch(struct flo_context *from, const struct flo_context *to)
{
    swapcontext(&from->uc, &to->uc);
}

#else

void flo_context_swap_(void **save_sp, void *load_sp);
void flo_context_entry_(void);
void flo_context_swap_end_(void); /* behind its last instruction */

bool flo_context_switching(uintptr_t pc)
{
    return pc >= (uintptr_t)flo_context_swap_ && pc < (uintptr_t)flo_context_swap_end_;
}

void flo_context_switch(struct flo_context *from, const struct flo_context *to)
{
    flo_context_swap_(&from->sp, to->sp);
}

#if defined(__x86_64__)

__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".hidden flo_context_swap_\n"
        ".globl flo_context_swap_\n"
        ".type flo_context_swap_,@function\n"
        "flo_context_swap_:\n"
        "    .cfi_startproc\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size flo_context_swap_,.-flo_context_swap_\n"
        ".hidden flo_context_swap_end_\n"
        ".globl flo_context_swap_end_\n"
        "flo_context_swap_end_:\n"
        ".p2align 4\n"
        ".hidden flo_context_entry_\n"
        ".globl flo_context_entry_\n"
        ".type flo_context_entry_,@function\n"
        "flo_context_entry_:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n"
        "    movq %r13, %rdi\n"
        "    callq *%r12\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size flo_context_entry_,.-flo_context_entry_\n"
        ".popsection\n");

/* From the saved stack pointer upwards: what flo_context_swap_ pops. */
struct frame {
    uint32_t mxcsr;
    uint32_t x87_control;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t return_address;
    uint64_t end; /* keeps the stack 16-aligned at the call in flo_context_entry_ */
};

void flo_context_make(struct flo_context *context, void *stack, size_t bytes,
                      void (*entry)(void *arg), void *arg)
{
    uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
    struct frame *frame = (struct frame *)(top - 8 - sizeof *frame);
    memset(frame, 0, sizeof *frame);
    __asm__("stmxcsr %0" : "=m"(frame->mxcsr));
    uint16_t control;
    __asm__("fnstcw %0" : "=m"(control));
    frame->x87_control = control;
    frame->r12 = (uintptr_t)entry;
    frame->r13 = (uintptr_t)arg;
    frame->return_address = (uintptr_t)flo_context_entry_;
    context->sp = frame;
}

#else /* aarch64 */

__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".hidden flo_context_swap_\n"
        ".globl flo_context_swap_\n"
        ".type flo_context_swap_,%function\n"
        "flo_context_swap_:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size flo_context_swap_,.-flo_context_swap_\n"
        ".hidden flo_context_swap_end_\n"
        ".globl flo_context_swap_end_\n"
        "flo_context_swap_end_:\n"
        ".p2align 4\n"
        ".hidden flo_context_entry_\n"
        ".globl flo_context_entry_\n"
        ".type flo_context_entry_,%function\n"
        "flo_context_entry_:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n"
        "    mov x0, x20\n"
        "    blr x19\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size flo_context_entry_,.-flo_context_entry_\n"
        ".popsection\n");

struct frame {
    uint64_t x19, x20, x21_x28[8], x29, x30, d8_d15[8];
};

void flo_context_make(struct flo_context *context, void *stack, size_t bytes,
                      void (*entry)(void *arg), void *arg)
{
    uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
    struct frame *frame = (struct frame *)(top - sizeof *frame);
    memset(frame, 0, sizeof *frame);
    frame->x19 = (uintptr_t)entry;
    frame->x20 = (uintptr_t)arg;
    frame->x30 = (uintptr_t)flo_context_entry_;
    context->sp = frame;
}

#endif
#endif
