/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/end_reason.h"

static const struct end_reason_row rows[] = {
    [END_NONE] = { "none", "It has not ended; never in the log." },
    [END_CLIENT_CLOSED] = { "client_closed", "The client ended the session: the usual end." },
    [END_CLIENT_LOST] = { "client_lost", "The client's connection broke, or ended without "
                                         "close_notify of TLS." },
    [END_SERVER_CLOSED] = { "server_closed",
                            "The server ended the session: pg_terminate_backend, a restart, a "
                            "timeout of its own." },
    [END_SERVER_LOST] = { "server_lost", "The server's connection broke: look at its log, and "
                                         "at what is between." },
    [END_NOT_POSTGRESQL] = { "not_postgresql", "The client speaks another protocol, or none: a "
                                               "port scan, a health check." },
    [END_DENIED] = { "denied", "allow or deny does not let the client's address in." },
    [END_BAD_PROXY_HEADER] = { "bad_proxy_header", "The PROXY header is missing, wrong, or not "
                                                   "from trusted_proxies." },
    [END_REFUSED] = { "refused", "A rule of the route: plaintext where TLS is demanded, for "
                                 "instance; auth.failed has it." },
    [END_DIRECT_TLS] = { "direct_tls", "direct_tls refuses clients that begin with TLS, or "
                                       "theirs is without the ALPN protocol." },
    [END_CLIENT_TLS_FAILED] = { "client_tls_failed", "The handshake with the client failed; "
                                                     "tls.handshake.failed says why." },
    [END_BACKEND_TLS_FAILED] = { "backend_tls_failed", "The handshake with the server failed; "
                                                       "tls.handshake.failed says why." },
    [END_BACKEND_UNREACHABLE] = { "backend_unreachable", "No address of the server answered; "
                                                         "backend.connect.failed has each." },
    [END_AUTH_FAILED] = { "auth_failed", "The server or verify-full refused the login; "
                                         "auth.failed says which." },
    [END_CANCEL_DONE] = { "cancel", "A cancel request, passed on." },
    [END_CANCEL_REFUSED] = { "cancel_refused", "A cancel request, not passed on: see the "
                                               "settings cancel and cancel_unknown." },
    [END_TIMEOUT_FIRST_BYTE] = { "first_byte_timeout", "The client said nothing for so long." },
    [END_TIMEOUT_HANDSHAKE] = { "handshake_timeout", "A handshake did not finish in time." },
    [END_TIMEOUT_LOGIN] = { "login_timeout", "The login did not finish in time." },
    [END_TIMEOUT_IDLE] = { "idle_timeout", "Nothing was said in the session for so long." },
    [END_MAX_CONNECTIONS] = { "max_connections", "The route is full." },
    [END_MAX_PENDING] = { "max_pending_logins",
                          "Too many had not logged in, and this was the oldest." },
    [END_MAX_PER_IP] = { "max_connections_per_ip",
                         "The client's address has as many as it may." },
    [END_MAX_HANDSHAKES] = { "handshakes_per_second",
                             "Too many handshakes began in this second." },
    [END_PROTOCOL] = { "protocol", "A peer broke PostgreSQL's protocol." },
    [END_SHUTDOWN] = { "shutdown", "The program or the route ends, and this was between "
                                   "messages or drain_timeout was over." },
    [END_NO_MEMORY] = { "no_memory", "Memory ran out." },
};

const struct end_reason_row *end_reason_row(enum end_reason reason)
{
    return &rows[reason];
}
