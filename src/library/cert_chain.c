/* SPDX-License-Identifier: PostgreSQL */
#include "library/parts.h"
#include "pgtls/cert.h"
#include "x509/chain.h"

/* The public type is never complete: only its pointers exist, and are ours. */
static const struct chain *inner(const struct pgtls_cert_chain *chain)
{
    return (const struct chain *)chain;
}

static const struct chain_link *link_of(const struct pgtls_cert_chain *chain, size_t n)
{
    static char                    nothing[] = "";
    static const struct chain_link none = { .facts = { nothing, nothing, nothing, nothing,
                                                       nothing, nothing, 0, 0 } };

    return n < chain_length(inner(chain)) ? chain_link(inner(chain), n) : &none;
}

struct pgtls_cert_chain *pgtls_cert_chain_load(const char *file, struct pgtls_error *error)
{
    return (struct pgtls_cert_chain *)chain_load(file, library_failure(error));
}

void pgtls_cert_chain_free(struct pgtls_cert_chain *chain)
{
    chain_free((struct chain *)chain);
}

size_t pgtls_cert_chain_length(const struct pgtls_cert_chain *chain)
{
    return chain_length(inner(chain));
}

int pgtls_cert_chain_is_in_order(const struct pgtls_cert_chain *chain)
{
    return chain_is_in_order(inner(chain));
}

const char *pgtls_cert_chain_subject(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.subject;
}

const char *pgtls_cert_chain_issuer(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.issuer;
}

const char *pgtls_cert_chain_names(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.names;
}

const char *pgtls_cert_chain_fingerprint(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.fingerprint;
}

const char *pgtls_cert_chain_serial(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.serial;
}

const char *pgtls_cert_chain_key(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->key;
}

int64_t pgtls_cert_chain_not_before(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.not_before;
}

int64_t pgtls_cert_chain_not_after(const struct pgtls_cert_chain *chain, size_t n)
{
    return link_of(chain, n)->facts.not_after;
}
