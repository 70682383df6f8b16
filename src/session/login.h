/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/login.h - watches the server's side of a login, until ReadyForQuery
 *
 * Everything passes on, message by message as it comes, with these exceptions:
 *   - the PLUS mechanisms are taken out of AuthenticationSASL where that is asked for:
 *     libpq would abort where it has no TLS and the server has
 *   - an ErrorResponse 28000 within a SCRAM exchange that offered PLUS to a
 *     client with TLS gets a hint: channel binding does not pass two TLS legs
 * and these facts are kept: BackendKeyData was seen, the error that ended the login.
 *
 * Only messages it must see whole (R, E, K, Z) are held until they are complete, up to
 * LOGIN_HELD_MOST bytes.  A longer ErrorResponse and messages of every other type pass
 * through unseen; a longer R, K or Z is not the protocol.
 */
#ifndef PGTLS_SESSION_LOGIN_H
#define PGTLS_SESSION_LOGIN_H

#include "base/buf.h"
#include "base/fail.h"

enum { LOGIN_KEY_MOST = 260 }; /* a process id, and a key of protocol 3.2 */

enum login_verdict {
    LOGIN_WANT_MORE,
    LOGIN_READY,  /* ReadyForQuery was appended to `out`; what follows is still in `in` */
    LOGIN_BROKEN, /* not the protocol, or no memory: login->broken says; close */
};

enum {
    LOGIN_HELD_MOST = 65536, /* longest message that is held, its header included */
    LOGIN_HINT_MOST = 256,   /* what one login adds to the server's bytes, at most */
};

struct login_legs {
    bool client_tls;
    bool server_tls;
    bool binding_passes; /* both legs show the same certificate, or the login is bridged */
    bool strips_plus;    /* take the PLUS mechanisms out of AuthenticationSASL */
};

struct login {
    struct login_legs legs;
    struct buf        held;            /* of a message that must be seen whole */
    uint32_t          pass_left;       /* body bytes of one that passes unseen */
    bool              auth_seen;       /* an Authentication message of any kind */
    bool              authenticated;   /* AuthenticationOk was seen */
    bool              plus_offered;    /* by the server, in the exchange under way */
    bool              plus_stripped;   /* false although offered: the list had nothing else */
    bool              binding_refused; /* an ErrorResponse got our hint; only the first does */
    bool              has_error;
    char              error_code[6];       /* of the last ErrorResponse; "" where it has none */
    char              error_message[160];  /* escaped; "" where it passed unseen */
    uint8_t           status;              /* of ReadyForQuery */
    uint16_t          key_len;             /* 0 until BackendKeyData was seen */
    uint8_t           key[LOGIN_KEY_MOST]; /* process id and cancel key, as on the wire */
    const char       *broken;              /* why; NULL before LOGIN_BROKEN */
};

void login_init(struct login *login, const struct login_legs *legs);
void login_fini(struct login *login);

/*
 * Takes bytes of the server off `in`, all of them unless the login ends, and appends what
 * the client shall get to `out`.  The caller guarantees room in `out` for in->len +
 * LOGIN_HELD_MOST + LOGIN_HINT_MOST bytes; where that lacks the login is broken.  After
 * any verdict but WANT_MORE it must not be fed again.
 */
enum login_verdict login_feed(struct login *login, struct bytes *in, struct buf *out);

/* No message was passed on half: one of ours may be put in (what is held is then dropped). */
bool login_is_between(const struct login *login);

#endif
