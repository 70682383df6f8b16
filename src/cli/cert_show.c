/* SPDX-License-Identifier: PostgreSQL */
/* `pgtls cert show`: what is in a file, or what a server sends. */
#include "cli/cert_report.h"
#include "cli/cert_words.h"
#include "cli/command.h"
#include "io/address.h"
#include "io/clock.h"
#include "sync/fetch.h"
#include "x509/chain.h"
#include "x509/crl.h"
#include "x509/pem_file.h"
#include "x509/request.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int tell(const struct failure *why)
{
    complain("cert show: %s%s%s", why->text, why->hint[0] == '\0' ? "" : "; ", why->hint);
    return EXIT_FAILED;
}

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

static int show_chain(const struct cert_arguments *a, const struct chain *chain,
                      const struct fetch_facts *facts)
{
    struct buf out = BUF_LIMIT(CERT_REPORT_BYTES);

    (a->json ? cert_report_chain_json : cert_report_chain)(&out, chain, a->operand, facts,
                                                           now_s());
    return print_and_free(&out);
}

static int show_certificates(const struct cert_arguments *a)
{
    struct failure why = { 0 };
    struct chain  *chain = chain_load(a->operand, &why);
    int            status = chain != NULL ? show_chain(a, chain, NULL) : tell(&why);

    chain_free(chain);
    return status;
}

static int show_request(const struct cert_arguments *a)
{
    struct failure       why = { 0 };
    struct X509_req_st  *request = request_load(a->operand, &why);
    struct request_facts facts = { 0 };
    struct buf           out = BUF_LIMIT(CERT_REPORT_BYTES);
    enum fail            rc = FAIL_CERT;

    if (request != NULL)
        rc = request_facts_init(&facts, request, &why);
    if (rc == FAIL_NONE)
        (a->json ? cert_report_request_json : cert_report_request)(&out, &facts, a->operand);
    request_facts_fini(&facts);
    request_free(request);
    if (rc == FAIL_NONE)
        return print_and_free(&out);
    buf_fini(&out);
    return tell(&why);
}

static int show_lists(const struct cert_arguments *a)
{
    struct failure   why = { 0 };
    struct crl_list *lists = crl_list_load(a->operand, NULL, &why);
    struct buf       out = BUF_LIMIT(CERT_REPORT_BYTES);

    if (lists == NULL)
        return tell(&why);
    (a->json ? cert_report_lists_json : cert_report_lists)(&out, lists, a->operand, now_s());
    crl_list_free(lists);
    return print_and_free(&out);
}

static int show_file(const struct cert_arguments *a)
{
    enum pem_content content = PEM_CERTIFICATE;
    struct failure   why = { 0 };

    if (pem_file_content(a->operand, &content, &why) != FAIL_NONE) {
        if (why.errnum == ENOENT)
            fail_hint(&why, "a server is named HOST:PORT");
        return tell(&why);
    }
    switch (content) {
    case PEM_CERTIFICATE: return show_certificates(a);
    case PEM_REQUEST: return show_request(a);
    case PEM_CRL: break;
    }
    return show_lists(a);
}

/* ---- servers ---- */

static enum fetch_way way_of(const char *via)
{
    if (strcmp(via, "direct") == 0)
        return FETCH_DIRECT;
    return strcmp(via, "tls") == 0 ? FETCH_TLS : FETCH_SSLREQUEST;
}

/* What is in the way of TLS itself may be the wrong way to ask. */
static void hint_other_way(const struct fetch_order *order, struct failure *why)
{
    if (why->kind != FAIL_PROTOCOL && why->kind != FAIL_TLS && why->kind != FAIL_CLOSED)
        return;
    why->hint[0] = '\0';
    fail_hint(why, order->way == FETCH_SSLREQUEST
                       ? "is it PostgreSQL? --via tls asks servers that speak TLS at once"
                       : "--via sslrequest asks a PostgreSQL server; 17 and later take direct "
                         "TLS too");
}

static int show_server(const struct cert_arguments *a, const char *host, uint16_t port)
{
    const struct fetch_order order = { .host = host,
                                       .port = port,
                                       .way = way_of(a->via),
                                       .timeout_us = a->timeout_s * 1000000,
                                       .wall_s = now_s() };
    struct fetch_facts       facts;
    struct failure           why = { 0 };
    struct chain            *chain = NULL;
    int                      status;

    if (fetch_chain(&order, &chain, &facts, &why) != FAIL_NONE) {
        hint_other_way(&order, &why);
        fail_context(&why, "%s", a->operand);
        return tell(&why);
    }
    status = show_chain(a, chain, &facts);
    chain_free(chain);
    return status;
}

/* A file of that name comes first: "./a:1" is one for certain. */
int cert_run_show(const struct cert_arguments *a)
{
    char     host[256];
    uint16_t port = 0;
    bool     is_unix = false;

    if (access(a->operand, F_OK) == 0 || strchr(a->operand, '/') != NULL ||
        address_split(a->operand, host, sizeof host, &port, &is_unix, NULL) != FAIL_NONE ||
        is_unix)
        return show_file(a);
    return show_server(a, host, port);
}
