/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls.c - TLS and mutual TLS between our halves, and peers that must be refused. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/certs.h"
#include "support/h2raw.h"
#include "unit/grpc/pair.h"

static struct certs certs;

static int make_certs(void **state)
{
    (void)state;
    certs_make(&certs);
    return 0;
}

static int remove_certs(void **state)
{
    (void)state;
    certs_remove(&certs);
    return 0;
}

static void serve_tls(struct pair *pair, bool ask_client)
{
    pair_init(pair, &(struct flo_grpc_server_options){
                        .tls_cert_file = certs.server_cert,
                        .tls_key_file = certs.server_key,
                        .tls_client_ca_file = ask_client ? certs.ca : NULL,
                        .handshake_timeout_ms = 500,
                    });
}

static void connect_tls(struct pair *pair, struct flo_grpc_tls tls)
{
    tls.enabled = true;
    pair_connect(pair, NULL, &(struct flo_grpc_channel_options){.tls = tls});
}

static void assert_served(struct pair *pair)
{
    struct outcome small, big;
    size_t len = (size_t)3 << 20;
    uint8_t *body = calloc(1, len);
    pair_call(pair, "/t/echo", "secret", 6, 10000, &small);
    pair_call(pair, "/t/echo", body, len, 10000, &big);
    RUN_UNTIL(pair, small.runs && big.runs);
    assert_int_equal(small.code, FLO_GRPC_OK);
    assert_int_equal(small.len, 6);
    assert_int_equal(big.code, FLO_GRPC_OK);
    assert_int_equal(big.len, len);
    outcome_fini(&small);
    outcome_fini(&big);
    free(body);
}

/* The channel fails to connect with a reason that holds want; the server is none the worse. */
static void assert_refused(struct pair *pair, const char *want)
{
    struct outcome out;
    struct flo_grpc_call_options opt = {.path = "/t/echo", .timeout_ms = 10000};
    pair_call_with(pair, &opt, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_UNAVAILABLE);
    if (!strstr(out.message, want))
        fail_msg("want \"%s\" in: %s", want, out.message);
    flo_grpc_channel_destroy(&pair->channel);
}

/* Calls over TLS, the server's certificate checked by address. */
static void test_tls_round_trip(void **state)
{
    (void)state;
    struct pair pair;
    serve_tls(&pair, false);
    connect_tls(&pair, (struct flo_grpc_tls){.ca_file = certs.ca});
    assert_served(&pair);
    pair_fini(&pair);
}

/* The name to check can be given; a wrong one is refused, unless checking is off. */
static void test_tls_server_name_is_checked(void **state)
{
    (void)state;
    struct pair pair;
    serve_tls(&pair, false);
    connect_tls(&pair, (struct flo_grpc_tls){.ca_file = certs.ca, .server_name = "engine.test"});
    assert_served(&pair);
    flo_grpc_channel_destroy(&pair.channel);
    connect_tls(&pair, (struct flo_grpc_tls){.ca_file = certs.ca, .server_name = "other.test"});
    assert_refused(&pair, "hostname mismatch");
    connect_tls(&pair, (struct flo_grpc_tls){0}); /* the system's CAs do not know ours */
    assert_refused(&pair, "certificate");
    connect_tls(&pair, (struct flo_grpc_tls){.insecure_skip_verify = true});
    assert_served(&pair);
    pair_fini(&pair);
}

/* Mutual TLS: with our certificate served, without it refused. */
static void test_mtls_asks_for_a_certificate(void **state)
{
    (void)state;
    struct pair pair;
    serve_tls(&pair, true);
    connect_tls(&pair, (struct flo_grpc_tls){.ca_file = certs.ca,
                                             .cert_file = certs.client_cert,
                                             .key_file = certs.client_key});
    assert_served(&pair);
    flo_grpc_channel_destroy(&pair.channel);
    connect_tls(&pair, (struct flo_grpc_tls){.ca_file = certs.ca});
    assert_refused(&pair, "TLS");
    assert_string_equal(pair.last_reject, "tls.reject");
    pair_fini(&pair);
}

/* Plain text to a TLS port, and silence there: closed, never served in plain. */
static void test_tls_plain_client_is_closed(void **state)
{
    (void)state;
    struct pair pair;
    struct h2raw raw;
    serve_tls(&pair, false);
    h2raw_open(&raw, pair.base, flo_grpc_server_address(pair.server));
    h2raw_preface(&raw);
    raw.reading = false; /* what comes back is a TLS alert, not frames */
    H2RAW_UNTIL(&raw, pair.rejects == 1);
    assert_string_equal(pair.last_reject, "tls.reject");
    h2raw_close(&raw);
    h2raw_open(&raw, pair.base, flo_grpc_server_address(pair.server));
    H2RAW_UNTIL(&raw, raw.closed);
    assert_string_equal(pair.last_reject, "h2.handshake_timeout");
    h2raw_close(&raw);
    pair_fini(&pair);
}

/* Handshake with a plain OpenSSL client as tls is set up; returns what SSL_do_handshake said. */
static int handshake_as(struct pair *pair, SSL_CTX *tls)
{
    struct h2raw raw;
    int rc = 0, before = pair->rejects;
    h2raw_open(&raw, pair->base, flo_grpc_server_address(pair->server));
    SSL *ssl = SSL_new(tls);
    SSL_set_fd(ssl, raw.fd);
    SSL_set_connect_state(ssl);
    for (int i = 0; i < 100000 && rc != 1 && pair->rejects == before; i++) {
        rc = SSL_do_handshake(ssl);
        event_base_loop(pair->base, EVLOOP_NONBLOCK);
    }
    for (int i = 0; i < 100000 && pair->rejects == before && i < 1000; i++)
        event_base_loop(pair->base, EVLOOP_NONBLOCK);
    SSL_free(ssl);
    h2raw_close(&raw);
    return rc;
}

/* No ALPN, the wrong ALPN, an old version: refused each time. */
static void test_tls_peers_without_h2_are_refused(void **state)
{
    (void)state;
    struct pair pair;
    serve_tls(&pair, false);
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    handshake_as(&pair, tls);
    assert_int_equal(pair.rejects, 1);
    SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x08http/1.1", 9);
    assert_int_not_equal(handshake_as(&pair, tls), 1);
    assert_int_equal(pair.rejects, 2);
    SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x02h2", 3);
    SSL_CTX_set_min_proto_version(tls, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(tls, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(tls, "ALL:@SECLEVEL=0");
    assert_int_not_equal(handshake_as(&pair, tls), 1);
    assert_string_equal(pair.last_reject, "tls.reject");
    SSL_CTX_free(tls);
    pair_fini(&pair);
}

/* Files that cannot be used are named. */
static void test_tls_bad_files_are_named(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct flo_grpc_server *server = NULL;
    struct flo_err err = {0};
    struct flo_grpc_server_options opt = {.listen = "127.0.0.1:0",
                                          .tls_cert_file = "/nowhere/cert.pem",
                                          .tls_key_file = certs.server_key};
    assert_int_equal(flo_grpc_server_new(base, &opt, &server, &err), FLO_EINVAL);
    assert_non_null(strstr(err.message, "/nowhere/cert.pem"));
    opt.tls_cert_file = certs.server_cert;
    opt.tls_key_file = certs.client_key; /* not its key */
    assert_int_equal(flo_grpc_server_new(base, &opt, &server, &err), FLO_EINVAL);
    opt.tls_cert_file = NULL; /* a key alone must not mean plain text */
    assert_int_equal(flo_grpc_server_new(base, &opt, &server, &err), FLO_EINVAL);
    assert_null(server);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_round_trip),
        cmocka_unit_test(test_tls_server_name_is_checked),
        cmocka_unit_test(test_mtls_asks_for_a_certificate),
        cmocka_unit_test(test_tls_plain_client_is_closed),
        cmocka_unit_test(test_tls_peers_without_h2_are_refused),
        cmocka_unit_test(test_tls_bad_files_are_named),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
