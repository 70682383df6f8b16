/* SPDX-License-Identifier: PostgreSQL */
/*
 * session/bridge.h - one SCRAM login out of two: the client's with us, ours with the server
 *
 * Channel binding ties a login to the certificate that the client sees.  Behind a proxy with a
 * certificate of its own that is not the server's, so the proxy ends the client's exchange
 * against its own certificate and makes another one against the server's.  It can, without the
 * password: from the client's proof and StoredKey comes ClientKey (RFC 5802 section 3), and
 * ClientKey is all that a proof for the server needs, as long as the server keeps the very same
 * verifier: same salt, same count.
 *
 *   METHODS --AuthenticationSASL of the server--> FIRSTS
 *           \--anything else--> OVER (or refused, where nothing weaker may pass)
 *   FIRSTS --server-first--> CLIENT_FIRST --client-first--> PROOF
 *     \----client-first--> SERVER_FIRST --server-first-----/
 *   PROOF --client-final, and it is right--> SERVER_FINAL --the server's proof--> OK
 *   OK --AuthenticationOk--> OVER
 *
 * The client is shown the salt and count that the server shows, known user or not: so nobody is
 * told who is in the file, and a salt stays the same as long as it does in the server, which
 * has a mock of its own for users that it does not know.  Before a proof is used they are
 * compared with those of the verifier.  A user without a verifier runs to the end and is
 * refused as for a wrong password, with the same messages on both sides.
 *
 * Until OVER the server's messages are seen whole, at most BRIDGE_SERVER_MOST bytes each, and
 * NegotiateProtocolVersion, NoticeResponse and ErrorResponse pass on.  An AuthenticationOk
 * before the server's proof is a lie.  ClientKey lives within one call and is wiped.
 *
 * A client that demands channel binding wants nobody between it and the server.  Where somebody
 * could be, because the server's leg is neither bound nor known to be the server's, PLUS is not
 * offered: who demands it ends there, and is not told of a binding that stops half way.
 */
#ifndef PGTLS_SESSION_BRIDGE_H
#define PGTLS_SESSION_BRIDGE_H

#include "pg/collector.h"
#include "scram/client.h"
#include "scram/server.h"

enum {
    BRIDGE_SERVER_MOST = 65536,
    BRIDGE_CLIENT_MOST = 2 * SCRAM_MESSAGE_MOST, /* one message, and what waits unread */
};

enum bridge_state {
    BRIDGE_METHODS,
    BRIDGE_FIRSTS,
    BRIDGE_CLIENT_FIRST,
    BRIDGE_SERVER_FIRST,
    BRIDGE_PROOF,
    BRIDGE_SERVER_FINAL,
    BRIDGE_OK,
    BRIDGE_OVER,
};

enum bridge_verdict {
    BRIDGE_WANT_MORE,
    BRIDGE_PASSES,  /* it is over: what follows, and bridge_waiting(), passes as it is */
    BRIDGE_REFUSED, /* an ErrorResponse was appended for the client; bridge->why is for the log
                     */
    BRIDGE_BROKEN,  /* the server broke the protocol, or no memory: see bridge->why */
};

struct bridge_options {
    const char                  *user;        /* of the startup packet; outlives the bridge */
    const struct scram_verifier *verifier;    /* copied; NULL: of nobody */
    struct bytes                 own_hash;    /* of the certificate that the client sees */
    struct bytes                 server_hash; /* of the server's; both: none without TLS, or
                                               * where none is defined */
    bool only_scram;  /* a server that asks for something else is refused, not passed on */
    bool may_be_else; /* the server's leg may be somebody else's: TLS is not verified there, or
                       * need not be used */
};

struct bridge {
    enum bridge_state     state;
    const char           *user;
    bool                  is_known;
    bool                  is_bound; /* the server's side: with channel binding */
    bool                  only_scram;
    bool                  may_be_else;
    bool                  withholds_plus; /* from the client, though we have a hash for it */
    const char           *mechanism;      /* of the client; NULL before it chose */
    struct scram_verifier verifier;
    struct bytes          server_hash; /* borrowed from the options */
    bool                  offers_plus;
    struct collector      from_server;
    struct collector      from_client;
    struct buf            waiting;     /* of the client: it was not its turn */
    struct scram_server   client_side; /* we are its server */
    struct scram_client   server_side;
    struct failure        why;
};

void bridge_init(struct bridge *bridge, const struct bridge_options *options);
void bridge_fini(struct bridge *bridge); /* wipes; all-zero is fine */

/*
 * Takes bytes of the server off `in`, all of them unless it is over.  `to_client` gets what the
 * client shall believe to come from the server, in whole messages; `to_server` our answers.
 */
enum bridge_verdict bridge_from_server(struct bridge *bridge, struct bytes *in,
                                       struct buf *to_client, struct buf *to_server);

/* The same for bytes of the client, which are all taken; before it is over. */
enum bridge_verdict bridge_from_client(struct bridge *bridge, struct bytes in,
                                       struct buf *to_client, struct buf *to_server);

/* The server shows another salt or count than the verifier has: it is an old one. */
bool bridge_is_outdated(const struct bridge *bridge);

/* What the client sent too early: once the bridge is over it goes to the server. */
static inline struct bytes bridge_waiting(const struct bridge *bridge)
{
    return buf_bytes(&bridge->waiting);
}

#endif
