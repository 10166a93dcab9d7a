/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs.h - a certificate authority for one test: makes a CA, a server certificate (localhost,
 * 127.0.0.1) and a client certificate as PEM files in a fresh folder.
 */
#ifndef FLO_TEST_CERTS_H
#define FLO_TEST_CERTS_H

struct certs {
    char folder[64];
    char ca[96], server_cert[96], server_key[96], client_cert[96], client_key[96];
};

/* Aborts when something fails. */
void certs_make(struct certs *certs);
/* Remove the files. */
void certs_remove(const struct certs *certs);

#endif
