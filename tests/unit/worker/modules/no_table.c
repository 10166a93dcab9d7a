/* SPDX-License-Identifier: Apache-2.0 */
/* no_table.c - a shared object that is no module. */
int flo_test_no_table;
