/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/end_reason.h - why a connection ended
 */
#ifndef PGTLS_PROXY_END_REASON_H
#define PGTLS_PROXY_END_REASON_H

/* The first of these to happen is the `reason` of connection.end. */
enum end_reason {
    END_NONE,
    END_CLIENT_CLOSED,
    END_CLIENT_LOST,
    END_SERVER_CLOSED,
    END_SERVER_LOST,
    END_NOT_POSTGRESQL,
    END_DENIED,
    END_BAD_PROXY_HEADER,
    END_REFUSED,
    END_DIRECT_TLS,
    END_CLIENT_TLS_FAILED,
    END_BACKEND_TLS_FAILED,
    END_BACKEND_UNREACHABLE,
    END_AUTH_FAILED,
    END_CANCEL_DONE,
    END_CANCEL_REFUSED,
    END_TIMEOUT_FIRST_BYTE,
    END_TIMEOUT_HANDSHAKE,
    END_TIMEOUT_LOGIN,
    END_TIMEOUT_IDLE,
    END_MAX_CONNECTIONS,
    END_MAX_PENDING,
    END_MAX_PER_IP,
    END_MAX_HANDSHAKES,
    END_PROTOCOL,
    END_SHUTDOWN,
    END_NO_MEMORY,
    END_REASON_COUNT
};

struct end_reason_row {
    const char *name; /* "client_closed" */
    const char *help; /* what it means, and what to do about it; for the manual */
};

const struct end_reason_row *end_reason_row(enum end_reason reason);

#endif
