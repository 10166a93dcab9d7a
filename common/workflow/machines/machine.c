/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - the one mover of all lifecycles. */
#include "workflow/machines/machine.h"

#ifndef NDEBUG
void (*flo_machine_watch)(const struct flo_machine *machine, unsigned state, const char *file);
#undef flo_machine_move
#endif

int flo_machine_move(struct flo_machine *machine, unsigned state)
{
    if (!(machine->table[machine->state].next & FLO_STATE_BIT(state)))
        return FLO_ENONDET;
    machine->state = state;
    return 0;
}

bool flo_machine_final(const struct flo_machine *machine)
{
    return machine->table[machine->state].next == 0;
}

const char *flo_machine_state_name(const struct flo_machine *machine)
{
    return machine->table[machine->state].name;
}
