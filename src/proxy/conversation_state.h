/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/conversation_state.h - what the files of a conversation share
 *
 * Nobody else includes it.
 */
#ifndef PGTLS_PROXY_CONVERSATION_STATE_H
#define PGTLS_PROXY_CONVERSATION_STATE_H

#include "base/text.h"
#include "pg/startup.h"
#include "proxy/conversation.h"
#include "proxy/end_reason.h"
#include "proxy/walk.h"
#include "runtime/cancel_table.h"
#include "runtime/pump.h"
#include "session/bridge.h"
#include "session/login.h"
#include "session/relay.h"

enum conversation_state {
    CONVERSATION_ACCEPTED,
    CONVERSATION_OPENING,
    CONVERSATION_CLIENT_TLS,
    CONVERSATION_RESOLVING,
    CONVERSATION_CONNECTING,
    CONVERSATION_ASKING,
    CONVERSATION_BACKEND_TLS,
    CONVERSATION_LOOKUP,
    CONVERSATION_LOGIN,
    CONVERSATION_CANCEL_SENT,
    CONVERSATION_CANCELLING,
    CONVERSATION_RELAYING,
    CONVERSATION_ENDING,
    CONVERSATION_CLOSED,
};

/* How the client asked for what it got; "negotiation" in the log. */
enum negotiation {
    NEGOTIATION_NONE,
    NEGOTIATION_PLAINTEXT,
    NEGOTIATION_SSLREQUEST,
    NEGOTIATION_DIRECT
};

/* A cancel request: it goes to each server that may be meant, to many at the same time. */
struct cancelling {
    bool                 is_broadcast; /* to every host's backend */
    const struct route  *to;           /* whose targets are next */
    size_t               target_next;
    struct conversation *errands; /* under way */
    size_t               errand_count;
    enum end_reason outcome; /* of those that are over: that one had it, or how one failed */
};

/* Which way the session went that it is for.  Its key is not to be seen where that was not. */
enum session_way { SESSION_UNKNOWN, SESSION_IN_CLEAR, SESSION_IN_TLS };

struct errand_goal {
    const struct route        *route;
    const struct route_target *target;
    const struct address      *address; /* NULL: each that the target has */
    enum session_way           session;
};

/*
 * One of those ways: a conversation without a client, on behalf of the one that asked.  It logs
 * as that one does and is not counted anywhere.
 */
struct errand {
    struct conversation  *asker; /* NULL: it is none.  Outlives it */
    struct conversation  *next;
    struct conversation **link;
    enum session_way      session;
    bool                  is_sent; /* to one address at least */
};

/* Needed until ReadyForQuery only, and freed then: an idle session is small. */
struct approach {
    bool                  awaits_header; /* of the PROXY protocol */
    struct conversation  *conversation;  /* that it is part of */
    struct gate           gate;
    struct login          login;
    bool                  looks_up;     /* the verifier of the user, before its own login */
    struct auth_query    *query;        /* while it does */
    bool                  has_verifier; /* from there */
    struct scram_verifier verifier;
    struct bridge        *bridge; /* while the login is made of two; or NULL */
    enum bridge_verdict   bridged;
    bool                  was_bridged;
    struct buf  pending; /* of the client: not yet understood, or waiting for the backend */
    struct walk walk;
    struct resolve_request request; /* for its current target */
    bool                   resolving;
    struct failure         failure;   /* why the backend cannot be reached */
    bool                   is_cancel; /* the client's request, or an errand for one */
    struct cancelling      cancelling;
    struct errand          errand;
    /* sslmode allow: plaintext may still be refused, and then all is said again with TLS. */
    bool       hesitates;
    bool       plaintext_refused;
    size_t     forwarded; /* bytes of `pending` that the server has got */
    struct buf held;      /* what the server said, kept from the client until it is clear */
};

struct conversation {
    struct route_worker    *rw;
    const struct route     *route; /* of `rw`, or the host that the client named */
    struct conversation    *next;
    struct conversation   **link; /* what points here */
    uint64_t                id;
    enum conversation_state state;
    enum negotiation        negotiation;
    enum end_reason         reason;
    bool                    holds_session; /* one of max_connections */
    bool                    is_pending;    /* one of max_pending_logins */
    bool                    is_counted;    /* in tally->by_ip */
    bool                    is_over;       /* one too many of its address */
    bool                    draining;
    bool                    has_end; /* the client: all that its server said, and its end */
    /* Of those that may give way: a place in rw->unproved or, ENDING, in rw->lingering. */
    struct conversation       *yielding_next;
    struct conversation      **yielding_link;
    struct pump                client;
    struct pump                backend;
    struct relay               relay;
    struct approach           *approach; /* NULL from RELAYING on */
    struct loop_timer          timer;
    uint64_t                   accepted_us;
    uint64_t                   entered_us; /* the state */
    uint64_t                   ready_us;   /* 0: never */
    uint64_t                   active_us;  /* bytes moved last: relaying.c */
    uint64_t                   taken;      /* by the client, when that was looked at last */
    struct address_brief       peer;    /* the client: by PROXY header, where one is demanded */
    struct address_brief       via;     /* the proxy that told of it, if one did */
    const struct route_target *target;  /* of the backend, being tried or in use; or NULL */
    struct cancel_entry       *entered; /* in tally->cancels; or NULL */
    char                      *user;
    char                      *database;
};

/* What bytes of a client may wait while nobody can take them yet.  Beyond OPENING_RECEIVE no
 * more are asked for; what was asked for last may bring as much again, and a record that was
 * held. */
#define PENDING_LIMIT ((size_t)64 * 1024)
/* What a server says before it asks for a password, under sslmode allow. */
#define HELD_LIMIT      ((size_t)128 * 1024)
#define OPENING_RECEIVE ((size_t)16 * 1024)
/* Servers that a cancel request is on its way to at the same time. */
#define ERRANDS_AT_ONCE 16

/* For a client to read our last words. */
#define LINGER_US (2 * 1000000u)

static inline uint64_t conversation_now_us(const struct conversation *c)
{
    return loop_now_us(c->rw->worker->loop);
}

/* The one given first stays. */
static inline void conversation_give_reason(struct conversation *c, enum end_reason reason)
{
    if (c->reason == END_NONE)
        c->reason = reason;
}

/* Of the backend of its route. */
static inline const struct backend_settings *backend_settings(const struct conversation *c)
{
    return &c->route->settings->backend;
}

/* conversation.c: the states and their deadlines */

/* The only place where a conversation changes its state; sets the deadline. */
void        conversation_move(struct conversation *c, enum conversation_state next);
void        conversation_enter(struct conversation *c, enum conversation_state first); /* new */
void        conversation_timed_out(struct loop_timer *timer); /* a conversation's */
const char *conversation_state_name(enum conversation_state state);

/* Whether login_timeout, which includes the other limits of a login, has run out. */
bool conversation_login_is_over(const struct conversation *c);

/* conversation_begin.c */

/* Checks allow, deny and max_connections_per_ip once the client's address is known; false: it
 * is closed. */
bool conversation_admit(struct conversation *c);

/* One without a client, to carry a cancel request; NULL: out of memory. */
struct conversation *conversation_new_errand(struct conversation *asker);

/* conversation_end.c */

/* Ends without a word.  The reason told first stays. */
void conversation_close(struct conversation *c, enum end_reason reason);

/*
 * Lets the client read what waits for it, then ends; `clean` says whether with
 * close_notify.  The backend is closed at once, but for an alert of ours.
 */
void conversation_end(struct conversation *c, enum end_reason reason, bool clean);

/* True where records of the client ended its leg: said in the log, and the end has begun, with
 * the alert that waits to be sent. */
bool conversation_client_is_broken(struct conversation *c);

/* As conversation_end(), behind an ErrorResponse, where one may stand. */
void conversation_refuse(struct conversation *c, enum end_reason reason, const char *sqlstate,
                         const char *message, const char *hint);

/* Something waits for the client, and it has taken some since this was asked last. */
bool conversation_client_takes(struct conversation *c);
void conversation_linger(struct conversation *c); /* our last words had LINGER_US */

/* One of its sockets is closed: the last one ends the conversation. */
void conversation_socket_closed(struct conversation *c);
void conversation_free(struct conversation *c); /* it has no socket and is in no list */

/* pending.c: those that have not logged in, of which max_pending_logins says how many may be */
void pending_start(struct conversation *c);  /* closes one that is too many: perhaps this */
void pending_prove(struct conversation *c);  /* finished TLS, or needs none: it may stay */
void pending_linger(struct conversation *c); /* ends, and our last words are on their way */
void pending_stop(struct conversation *c);   /* it has logged in, or is closed */

/* cancelling.c: where cancel requests go */
void cancelling_enter(struct conversation *c); /* at ReadyForQuery */
void cancelling_leave(struct conversation *c); /* at the end */
/* Brings it on its way; or returns why it goes nowhere. */
const char *cancelling_start(struct conversation *c);
/* An errand is over: sends the next ones, or ends. */
void cancelling_go_on(struct conversation *c);
void cancelling_stop(struct conversation *c); /* closes all errands */

/* errand.c: a cancel request on its way to one server */
/* False: out of memory. */
bool errand_start(struct conversation *asker, const struct errand_goal *goal);
/* The target has these addresses: more errands take some; returns how many are left for it. */
size_t errand_share(struct conversation *errand, const struct address *addresses, size_t count);
void   errand_send(struct conversation *errand); /* connected, and TLS is done */
void   errand_over(struct conversation *errand); /* and about to be freed */
/* Whose client it is for: itself, unless it is an errand. */
const struct conversation *errand_asker(const struct conversation *c);

/* approach.c: gives it back to its slab, wiped: verifier, cancel key, what the client said */
void approach_free(struct approach *approach); /* NULL is fine */

/* client.c */
extern const struct pump_events client_events; /* of the client's pump, for its whole life */
void client_keep(struct conversation *c, struct bytes data); /* until somebody can take them */

/* arrival.c: until its startup packet is accepted */
void arrival_bytes(struct conversation *c, struct bytes data);
void arrival_secured(struct conversation *c);
void arrival_handshake_ended(struct conversation *c);
void arrival_timed_out(struct conversation *c);

/* client_certificate.c: whether it is enough for the user who logs in; refuses otherwise */
bool certificate_check(struct conversation *c);

/* backend.c */
extern const struct pump_events backend_events; /* of the backend's pump, for its whole life */
void                            backend_timed_out(struct conversation *c);

/* dialing.c: which server, and a connection to it */
void dialing_start(struct conversation *c);
/* To this address of c->target, or to each that it has. */
void dialing_start_errand(struct conversation *c, const struct address *address);
void dialing_go_on(struct conversation *c);  /* to what the walk has next */
void dialing_leave(struct conversation *c);  /* closes this one, and then goes on */
void dialing_repeat(struct conversation *c); /* the same, to the same address */
void dialing_connected(struct conversation *c, int error);
void dialing_name_timed_out(struct conversation *c);
void dialing_address_timed_out(struct conversation *c);
void dialing_forget(struct conversation *c); /* a look-up under way */
/* Logged already: what becomes of the conversation. */
void dialing_attempt_failed(struct conversation *c, enum end_reason reason);
/* The same, and logs that the server cannot be reached. */
void dialing_unreachable(struct conversation *c, const struct failure *why);

/* greeting.c: PROXY header and TLS, and then to who has something to say */
void greeting_start(struct conversation *c);
void greeting_answered(struct conversation *c, struct bytes answer); /* to SSLRequest */
void greeting_not_answered(struct conversation *c);
void greeting_answer_timed_out(struct conversation *c);
void greeting_secured(struct conversation *c);
void greeting_ended(struct conversation *c);
void greeting_handshake_timed_out(struct conversation *c);
void greeting_failed(struct conversation *c, const struct failure *why); /* the handshake */

/* logging_in.c: the client's startup packet at the server, until ReadyForQuery */
void logging_in_start(struct conversation *c); /* connected, and TLS is done */
void logging_in_bytes(struct conversation *c, struct bytes in);
void logging_in_ended(struct conversation *c);
/* What another address said of plaintext counts no more. */
void logging_in_begin_anew(struct approach *approach);
/* The client ended before ReadyForQuery: because the server had refused it, or by itself. */
void logging_in_client_left(struct conversation *c);
void logging_in_release_held(struct conversation *c); /* to the client, which waits no longer */
/* The server refused plaintext, has no TLS either, and has said why in plaintext. */
void logging_in_pass_refusal_on(struct conversation *c);

/* looking_up.c: the verifier of the user by auth_query */
void looking_up_decide(struct conversation *c); /* from the cache, or it is to be asked for */
void looking_up_start(struct conversation *c);  /* connected, and TLS is done */
void looking_up_bytes(struct conversation *c, struct bytes in);
void looking_up_ended(struct conversation *c);
void looking_up_timed_out(struct conversation *c);
void looking_up_forget(struct conversation *c); /* what is remembered of the user */
void looking_up_stop(struct approach *approach);

/* bridging.c: how SCRAM passes, and where it is made of two logins */

/* Decides at the start of a login; false: out of memory, and the conversation has ended. */
bool bridging_start(struct conversation *c);

/* Like login_feed(), behind the bridge. */
enum login_verdict bridging_from_server(struct conversation *c, struct bytes *in,
                                        struct buf *out);
void               bridging_from_client(struct conversation *c, struct bytes data);

/* Ends the conversation where the bridge has refused or is broken; false then. */
bool bridging_goes_on(struct conversation *c);
void bridging_stop(struct approach *approach); /* wipes what is secret */

/* relaying.c */
void relaying_start(struct conversation *c, struct bytes behind);
void relaying_from_client(struct conversation *c, struct bytes data);
void relaying_from_server(struct conversation *c, struct bytes data);
void relaying_client_ended(struct conversation *c);
void relaying_server_ended(struct conversation *c);
void relaying_drained(struct conversation *c);
void relaying_timed_out(struct conversation *c);
void relaying_drain(struct conversation *c);

/* report.c: log lines */
bool report_begin(struct log_line *line, const struct conversation *c, enum log_event event);
void report_end(const struct conversation *c);
void report_connected(const struct conversation *c);
void report_handshake(const struct conversation *c, bool is_client);
void report_tls_failed(const struct conversation *c, bool is_client);
void report_kernel(const struct conversation *c, bool is_client, const struct failure *why);
void report_handshake_failed(const struct conversation *c, bool is_client,
                             const struct failure *why);
void report_failure(const struct conversation *c, enum log_event event, const char *phase,
                    const struct failure *why);

#endif
