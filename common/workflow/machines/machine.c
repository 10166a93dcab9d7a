/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - the one mover of all lifecycles. */
#include "workflow/machines/machine.h"

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
