/* SPDX-License-Identifier: PostgreSQL */
/*
 * tls/hosts.h - several names on one port, each with its own policy
 *
 * A client says which one it means in its ClientHello (SNI, RFC 6066 3), and the choice is
 * made there, before anything else is looked at.  Names are compared whole,
 * without case and without wildcards.
 *
 * Immutable once made and counted; belongs to a generation.  Each worker makes a
 * tls_context of it.
 */
#ifndef PGTLS_TLS_HOSTS_H
#define PGTLS_TLS_HOSTS_H

#include "tls/policy.h"

#define TLS_HOST_DEFAULT "*"        /* names that no host has */
#define TLS_HOST_NO_SNI  "/no_sni/" /* clients that announce none */

struct tls_host {
    const char *const *names; /* of the one machine, or the two words above; copied */
    size_t             name_count;
    struct tls_policy *policy; /* a server's; held */
};

struct tls_hosts;

/* FAIL_CONFIG: neither of the two words, nor a name that a client can announce (a wildcard, an
 * address, a dot at the end). */
enum fail tls_host_name_check(const char *name, struct failure *why);

/* At least one host.  FAIL_CONFIG: a name twice, or none by the check above. */
struct tls_hosts *tls_hosts_new(const struct tls_host *hosts, size_t count,
                                struct failure *why);
struct tls_hosts *tls_hosts_hold(struct tls_hosts *hosts);
void              tls_hosts_release(struct tls_hosts *hosts); /* NULL is fine */

size_t             tls_hosts_count(const struct tls_hosts *hosts);
struct tls_policy *tls_hosts_policy(const struct tls_hosts *hosts, size_t n);

/* The host for a name as the client sent it; `name.p` NULL: it sent none.  -1: there is none.
 */
int tls_hosts_find(const struct tls_hosts *hosts, struct bytes name);

#endif
