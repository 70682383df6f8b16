/* SPDX-License-Identifier: PostgreSQL */
/*
 * doctor/check.h - what the steps of one check share; for doctor/ only
 *
 * Each step is a function that reads what earlier ones found, opens the connections that it
 * needs, and writes to the diagnosis.
 */
#ifndef PGTLS_DOCTOR_CHECK_H
#define PGTLS_DOCTOR_CHECK_H

#include "doctor/doctor.h"
#include "driver/sources.h"
#include "sync/talk.h"
#include "x509/chain.h"

#define CHECK_ADDRESSES_MOST 32

/* In the order of strength. */
enum check_mode { MODE_DISABLE, MODE_ALLOW, MODE_PREFER, MODE_REQUIRE, MODE_CA, MODE_FULL };

enum check_tls {
    CHECK_TLS_UNKNOWN, /* not asked, or no answer */
    CHECK_TLS_NONE,    /* the server has none */
    CHECK_TLS_OFFERED, /* it has, after SSLRequest or from the first byte as asked */
};

enum check_plaintext { PLAINTEXT_UNKNOWN, PLAINTEXT_TAKEN, PLAINTEXT_NOT_TAKEN };

struct check_address {
    const struct endpoint *endpoint;
    struct address         address;
};

struct check {
    const struct parameters     *parameters;
    const struct doctor_options *options;
    struct diagnosis            *diagnosis;
    bool                         is_redis;
    bool                         is_direct; /* TLS from the first byte: asked for, or Redis */
    enum check_mode              mode;
    bool     checks_chain; /* what libpq does with this mode and root file */
    uint64_t timeout_us;

    struct endpoints      endpoints;
    struct check_address  addresses[CHECK_ADDRESSES_MOST];
    size_t                address_count;
    struct check_address *chosen; /* the first that takes connections; NULL: none does */

    struct trust       *trust;    /* NULL: cannot be read */
    struct identity    *identity; /* NULL: there is none, or it cannot be read */
    bool                identity_broken;
    struct tls_context *looking; /* verifies nothing: to see what is there */

    enum check_tls       tls;
    enum check_plaintext plaintext;
    struct chain        *chain; /* that the server sent; NULL before the handshake */
    char                 fingerprint[80];
    bool                 asks_for_certificate;
    bool                 chain_is_good; /* by the step verify */
    bool                 name_is_good;
    bool                 stops; /* nothing further can be tried */
};

/* ---- what every step needs; check.c ---- */

int64_t  check_wall_s(void);
uint64_t check_deadline(const struct check *check); /* for a connection that begins now */

bool check_is_unix(const struct check *check); /* the chosen address */

/* The severity of what breaks only connections that `needs` says: an error there, else less. */
enum severity check_severity(bool needs);

/* Opens a connection to the chosen address. */
enum fail check_open(const struct check *check, struct talk *talk,
                     struct failure *why) WARN_UNUSED;

/* Notes in the diagnosis that memory has run out, where that is why. */
void check_note(const struct check *check, const struct failure *why);

/* Ends it, and notes the same. */
void check_close(const struct check *check, struct talk *talk);

/* SSLRequest, and the one byte of the answer. */
enum fail check_ask_for_tls(struct talk *talk, uint8_t *answer,
                            struct failure *why) WARN_UNUSED;

/*
 * A connection with its handshake done: SSLRequest first, unless TLS begins at once.
 * `sni` false: no name is announced.
 */
struct check_handshake {
    struct tls_context *context;
    bool                direct;
    bool                sni;
    bool                keep_chain;
    bool                no_alpn;
};
enum fail check_secure(const struct check *check, struct talk *talk,
                       const struct check_handshake *how, struct failure *why) WARN_UNUSED;

/* The next whole message of PostgreSQL, borrowed; take it off with buf_skip(&talk->plain, its
 * length).  FAIL_PROTOCOL where it cannot be one. */
enum fail check_message(struct talk *talk, struct bytes *message,
                        struct failure *why) WARN_UNUSED;

/* Appends the StartupMessage that the parameters make. */
void check_put_startup(const struct check *check, struct buf *out);

/* The name to announce and to verify: "" where the connection has none. */
const char *check_host(const struct check *check);

/* A context that does what `mode` asks; NULL with `why` filled. */
struct tls_context *check_new_context(const struct check *check, enum check_mode mode,
                                      struct failure *why);

/* The text with its hint, in one. */
const char *check_say(const struct failure *why, char out[static DIAGNOSIS_TEXT]);

/* ---- the steps, each in its file ---- */

void step_settings(struct check *check);
void step_resolve(struct check *check);
void step_connect(struct check *check);
void step_negotiate(struct check *check);
void step_plaintext(struct check *check);
void step_handshake(struct check *check);
void step_certificate(struct check *check);
void step_verify(struct check *check);
void step_login(struct check *check);
void step_redis(struct check *check);

/* identify.c: who is it, if not what was asked for?  Opens connections of its own; finds one of
 * FINDING_SERVER_*.  `closed`: it closed the connection instead of answering. */
void identify_server(struct check *check, bool closed);

/* Finds FINDING_SERVER_POSTGRESQL and returns true where the server knows SSLRequest. */
bool identify_postgresql(struct check *check);

/* step_handshake.c: which finding a handshake that failed is. */
void handshake_explain(struct check *check, const struct talk *talk, const struct failure *why,
                       enum severity most);

#endif
