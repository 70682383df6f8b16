/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/login.h - watches the server's side of a login, until ReadyForQuery
 *
 * Everything passes on, message by message as it comes, with these exceptions:
 *   - the PLUS mechanisms are taken out of AuthenticationSASL where the client
 *     has no TLS and the server has (libpq would abort: WIRE.md section 3, A)
 *   - an ErrorResponse 28000 within a SCRAM exchange that offered PLUS to a
 *     client with TLS gets a hint: channel binding does not pass two TLS legs
 * and these facts are kept: BackendKeyData was seen, the error that ended the login.
 *
 * Only messages it must see whole (R, E, K, Z) are held until they are complete, up to a
 * limit; a longer one passes through unseen.
 */
#ifndef PGTLS_SESSION_LOGIN_H
#define PGTLS_SESSION_LOGIN_H

#include "base/buf.h"
#include "base/fail.h"

enum login_verdict {
    LOGIN_WANT_MORE,
    LOGIN_READY,  /* ReadyForQuery was appended to `out`; what follows is still in `in` */
    LOGIN_BROKEN, /* not the protocol: a length below 4, or an unknown message; close */
};

struct login_legs {
    bool client_tls;
    bool server_tls;
    bool same_leaf; /* both legs show the same certificate: channel binding passes */
};

struct login {
    struct login_legs legs;
    struct buf        held;       /* of a message that must be seen whole */
    uint32_t          pass_left;  /* body bytes of one that passes unseen */
    bool              authenticated;     /* AuthenticationOk was seen */
    bool              plus_offered;      /* by the server, in the exchange under way */
    bool              plus_stripped;
    bool              binding_refused;   /* the refusal that got our hint */
    bool              has_error;
    char              error_code[6];     /* of the last ErrorResponse, escaped */
    char              error_message[160];
    uint8_t           status;            /* of ReadyForQuery */
};

void login_init(struct login *login, const struct login_legs *legs);
void login_fini(struct login *login);

/* Takes bytes of the server off `in` and appends what the client shall get to `out`. */
enum login_verdict login_feed(struct login *login, struct bytes *in, struct buf *out);

/* No message was passed on half: one of ours may be put in. */
bool login_is_between(const struct login *login);

#endif
