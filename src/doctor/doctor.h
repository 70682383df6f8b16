/* SPDX-License-Identifier: PostgreSQL */
/*
 * doctor/doctor.h - tries a connection step by step and says what each step found
 *
 *   settings > resolve > connect > negotiate > plaintext > handshake > certificate > verify
 *       > login
 *
 * Redis goes the same way without negotiate and plaintext.  A step that cannot be taken since
 * an earlier one failed is skipped.  Several steps open connections of their own; each is
 * bounded by connect_timeout (5 s where none is set).
 *
 * No password, nor anything made of one, goes over a connection whose server was not verified,
 * unless send_unverified says so.  What proves a server: its chain and its name, or its chain
 * with sslmode=verify-ca, and with require where a root file is named (libpq takes the two for
 * one); a Unix socket needs no proof.
 */
#ifndef PGTLS_DOCTOR_DOCTOR_H
#define PGTLS_DOCTOR_DOCTOR_H

#include "doctor/diagnosis.h"
#include "driver/parameters.h"

struct doctor_options {
    const char *name_servers;    /* to ask in place of the system's, or NULL */
    bool        send_unverified; /* a password, over a connection that did not verify */
};

/* Runs every step of filled parameters (driver/sources.h).  FAIL_MEMORY and FAIL_CONFIG alone
 * are failures; what is wrong with the connection is in the diagnosis. */
enum fail doctor_run(const struct parameters *parameters, const struct doctor_options *options,
                     struct diagnosis *diagnosis, struct failure *why) WARN_UNUSED;

#endif
