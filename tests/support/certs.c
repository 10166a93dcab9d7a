/* SPDX-License-Identifier: Apache-2.0 */
/* certs.c - short-lived P-256 certificates through OpenSSL. */
#include "support/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    must(ext && X509_add_ext(cert, ext, -1));
    X509_EXTENSION_free(ext);
}

static X509 *make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, long serial)
{
    X509 *cert = X509_new();
    must(cert && X509_set_version(cert, 2));
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    must(X509_set_pubkey(cert, key));
    X509_NAME *subject = X509_get_subject_name(cert);
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0));
    must(X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject));
    if (issuer)
        add_extension(cert, NID_subject_alt_name, "DNS:localhost,DNS:engine.test,IP:127.0.0.1");
    else
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    must(X509_sign(cert, issuer_key, EVP_sha256()));
    return cert;
}

static void save(const char *cert_path, X509 *cert, const char *key_path, EVP_PKEY *key)
{
    FILE *file = fopen(cert_path, "w");
    must(file && PEM_write_X509(file, cert));
    fclose(file);
    if (!key_path)
        return;
    file = fopen(key_path, "w");
    must(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    fclose(file);
}

void certs_make(struct certs *c)
{
    snprintf(c->folder, sizeof c->folder, "/tmp/flotilla-certs-XXXXXX");
    must(mkdtemp(c->folder) != NULL);
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    snprintf(c->server_cert, sizeof c->server_cert, "%s/server.pem", c->folder);
    snprintf(c->server_key, sizeof c->server_key, "%s/server.key", c->folder);
    snprintf(c->client_cert, sizeof c->client_cert, "%s/client.pem", c->folder);
    snprintf(c->client_key, sizeof c->client_key, "%s/client.key", c->folder);
    EVP_PKEY *keys[3];
    for (int i = 0; i < 3; i++)
        must((keys[i] = EVP_EC_gen("P-256")) != NULL);
    X509 *ca = make("test CA", keys[0], NULL, keys[0], 1);
    X509 *server = make("server", keys[1], ca, keys[0], 2);
    X509 *client = make("client", keys[2], ca, keys[0], 3);
    save(c->ca, ca, NULL, NULL);
    save(c->server_cert, server, c->server_key, keys[1]);
    save(c->client_cert, client, c->client_key, keys[2]);
    X509_free(ca);
    X509_free(server);
    X509_free(client);
    for (int i = 0; i < 3; i++)
        EVP_PKEY_free(keys[i]);
}

void certs_remove(const struct certs *c)
{
    unlink(c->ca);
    unlink(c->server_cert);
    unlink(c->server_key);
    unlink(c->client_cert);
    unlink(c->client_key);
    rmdir(c->folder);
}
