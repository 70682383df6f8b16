/* SPDX-License-Identifier: PostgreSQL */
/* What the ClientHello decides: which host is meant, and whether ALPN is offered. */
#include "base/text.h"
#include "tls/engine_parts.h"
#include "tls/hosts.h"

#include <stdlib.h>

#define LONGEST_SHOWN 512u

/* RFC 6066 3: a list of one name, of type host_name.  False where it is not well formed;
 * *name stays empty where there is none. */
static bool read_sni(SSL *ssl, struct bytes *name)
{
    const unsigned char *p;
    size_t               len;
    struct bytes         b;

    *name = bytes_of(NULL, 0);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) != 1)
        return true;
    b = bytes_of(p, len);
    if (b.len < 5 || bytes_u16(b.p) != b.len - 2 || b.p[2] != TLSEXT_NAMETYPE_host_name ||
        bytes_u16(b.p + 3) != b.len - 5)
        return false;
    *name = bytes_of(b.p + 5, b.len - 5);
    return true;
}

/* For the log: OpenSSL forgets the name of a handshake that fails early.  RFC 8446 4.6.1: "On
 * resumption, if reporting an SNI value to the calling application, implementations MUST use
 * the value sent in the resumption ClientHello rather than the value sent in the previous
 * session." */
static bool remember(struct tls_engine *engine, struct bytes name)
{
    char   shown[LONGEST_SHOWN];
    size_t size;

    if (name.len == 0 || engine->announced != NULL)
        return true;
    text_escape(shown, sizeof shown, name);
    size = strlen(shown) + 1;
    if ((engine->announced = malloc(size)) != NULL)
        memcpy(engine->announced, shown, size);
    return engine->announced != NULL;
}

static int refuse(struct tls_engine *engine, int *alert, int what, enum fail kind,
                  const char *text)
{
    *alert = what;
    fail(engine->failure, kind, "%s", text);
    return SSL_CLIENT_HELLO_ERROR;
}

static int refuse_name(struct tls_engine *engine, int *alert)
{
    if (engine->announced == NULL) {
        fail_hint(engine->failure,
                  "the client must send one (libpq: sslsni=1 and a host name, no address), or "
                  "a host needs the name \"/no_sni/\"");
        engine->alert_wanted = SSL_AD_MISSING_EXTENSION;
        return refuse(engine, alert, SSL_AD_MISSING_EXTENSION, FAIL_REFUSED,
                      "the client announces no server name (SNI)");
    }
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    fail(engine->failure, FAIL_REFUSED, "no host has the name \"%.128s\" (SNI)",
         engine->announced);
    fail_hint(engine->failure, "add it to the names of a host, or a host with the name \"*\"");
    return SSL_CLIENT_HELLO_ERROR;
}

/* A second ClientHello (after HelloRetryRequest) must mean the same host. */
static int choose_host(struct tls_engine *engine, struct bytes name, int *alert)
{
    const struct tls_hosts *hosts = tls_context_hosts(engine->context);
    int                     host;

    if (hosts == NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    host = tls_hosts_find(hosts, name);
    if (host < 0)
        return refuse_name(engine, alert);
    if (engine->host >= 0 && engine->host != host)
        return refuse(engine, alert, SSL_AD_ILLEGAL_PARAMETER, FAIL_PROTOCOL,
                      "the client's second hello means another host");
    if (engine->host >= 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    engine->host = (int16_t)host;
    engine->chosen = tls_context_of_host(engine->context, (size_t)host);
    if (tls_context_adopt(engine->chosen, engine->ssl, engine->wall_s))
        return SSL_CLIENT_HELLO_SUCCESS;
    return refuse(engine, alert, SSL_AD_INTERNAL_ERROR, FAIL_MEMORY, "out of memory");
}

/* A client of direct TLS must offer ALPN (PostgreSQL 17, sslnegotiation=direct).  An offer
 * without our protocol is refused where it is chosen. */
static int check_alpn(struct tls_engine *engine, int *alert)
{
    const unsigned char *p;
    size_t               len;

    if (!engine->alpn_required ||
        SSL_client_hello_get0_ext(
            engine->ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p, &len) == 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    fail_hint(engine->failure,
              "direct TLS needs ALPN \"%s\": a plain TLS client or a health check sends none",
              engine->alpn);
    return refuse(engine, alert, SSL_AD_NO_APPLICATION_PROTOCOL, FAIL_TLS,
                  "the client offers no protocol (ALPN)");
}

int tls_hello_received(SSL *ssl, int *alert, void *unused)
{
    struct tls_engine *engine = engine_of(ssl);
    struct bytes       name;
    int                rc;

    if (!read_sni(ssl, &name))
        return refuse(engine, alert, SSL_AD_DECODE_ERROR, FAIL_PROTOCOL,
                      "the client's server name (SNI) cannot be read");
    if (!remember(engine, name))
        return refuse(engine, alert, SSL_AD_INTERNAL_ERROR, FAIL_MEMORY, "out of memory");
    rc = choose_host(engine, name, alert);
    return rc == SSL_CLIENT_HELLO_SUCCESS ? check_alpn(engine, alert) : rc;
}
