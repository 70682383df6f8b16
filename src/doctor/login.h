/* SPDX-License-Identifier: PostgreSQL */
/*
 * doctor/login.h - one login, as the files of the step share it; for doctor/ only
 *
 * step_login.c opens the connection and reads messages, auth.c answers those that ask for
 * proof, login_error.c knows what the server's errors mean.
 */
#ifndef PGTLS_DOCTOR_LOGIN_H
#define PGTLS_DOCTOR_LOGIN_H

#include "doctor/check.h"
#include "scram/client.h"

struct check_login {
    struct check       *check;
    struct talk         talk;
    bool                is_secure; /* inside TLS */
    bool                is_proven; /* the server was verified, or needs no proof */
    struct chain       *chain;     /* of this connection; NULL in the clear */
    char               *password;  /* NULL: there is none */
    struct scram_client scram;
    bool                is_bound;   /* SCRAM-SHA-256-PLUS is under way */
    uint32_t            minor;      /* of the protocol; we ask for 3.0 */
    bool                must_prove; /* the server's last SCRAM message is still to come */
};

/* With its password; the connection comes with login_open().  Ends with login_end(). */
void login_begin(struct check_login *login);
void login_end(struct check_login *login);

/* Opens the connection that the login is for: inside TLS where the mode says so, verified as
 * strictly as the server can pass. */
enum fail login_open(struct check_login *login, struct failure *why) WARN_UNUSED;

/* What the server says of its clock, in seconds since 1970; nothing where that is no number. */
void check_judge_clock(struct check *check, struct bytes clock);

enum auth_verdict {
    AUTH_GOES_ON,  /* answered, or nothing to answer: read the next message */
    AUTH_GIVES_UP, /* a finding says why */
};

/* Answers a whole Authentication message. */
enum auth_verdict auth_answer(struct check_login *login, struct bytes message);

/* Which finding an ErrorResponse is.  `diagnosis` gets it with the server's text, escaped. */
void login_explain_error(struct check *check, struct bytes message);

#endif
