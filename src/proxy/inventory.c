/* SPDX-License-Identifier: PostgreSQL */
#include "proxy/inventory.h"

#include "x509/certificate.h"
#include "x509/crl.h"

#include <stdlib.h>
#include <string.h>

static const char own_certificate[] = "certificate";
static const char chain[] = "chain";
static const char authority[] = "ca";
static const char revocation_list[] = "crl";
static const char client_leg[] = "client";
static const char backend_leg[] = "backend";

/* Counts where there is no room yet. */
struct taking {
    struct inventory_item *items;
    size_t                 count;
    size_t                 of_route; /* where those of this route begin */
    const char            *route, *leg;
};

/* Hosts that inherit a file have it as well. */
static bool has(const struct taking *taking, const struct inventory_item *item)
{
    for (size_t i = taking->of_route; i < taking->count; i++) {
        const struct inventory_item *one = &taking->items[i];

        if (one->leg == taking->leg && one->what == item->what &&
            strcmp(one->fingerprint, item->fingerprint) == 0 &&
            strcmp(one->file, item->file) == 0)
            return true;
    }
    return false;
}

static void add(struct taking *taking, const struct inventory_item *item)
{
    struct inventory_item *place;

    if (taking->items != NULL) {
        if (has(taking, item))
            return;
        place = &taking->items[taking->count];
        *place = *item;
        place->route = taking->route;
        place->leg = taking->leg;
    }
    taking->count++;
}

static void add_certificate(struct taking *taking, const char *what, const char *file,
                            const struct certificate_facts *facts)
{
    add(taking, &(struct inventory_item){
                    .what = what,
                    .file = file,
                    .subject = facts->subject,
                    .names = facts->names,
                    .key = facts->key,
                    .serial = facts->serial,
                    .fingerprint = facts->fingerprint,
                    .not_after = facts->not_after,
                });
}

static void add_crl(struct taking *taking, const struct crl_facts *facts)
{
    add(taking, &(struct inventory_item){
                    .what = revocation_list,
                    .file = facts->file,
                    .subject = facts->issuer,
                    .names = "",
                    .fingerprint = facts->fingerprint,
                    .not_after = facts->next_update,
                });
}

static void add_identity(struct taking *taking, const struct identity *identity)
{
    for (size_t i = 0; i < identity_chain_length(identity); i++)
        add_certificate(taking, i == 0 ? own_certificate : chain, identity_file(identity),
                        identity_chain_facts(identity, i));
}

static void add_trust(struct taking *taking, const struct trust *trust)
{
    for (size_t i = 0; i < trust_count(trust); i++)
        add_certificate(taking, authority, trust_source(trust), trust_facts(trust, i));
    for (size_t i = 0; i < trust_crl_count(trust); i++)
        add_crl(taking, trust_crl_facts(trust, i));
}

static void add_policy(struct taking *taking, const char *leg, const struct tls_policy *policy)
{
    taking->leg = leg;
    if (policy == NULL)
        return;
    for (size_t i = 0; i < TLS_MOST_IDENTITIES && tls_policy_identity(policy, i) != NULL; i++)
        add_identity(taking, tls_policy_identity(policy, i));
    if (tls_policy_options(policy)->trust != NULL)
        add_trust(taking, tls_policy_options(policy)->trust);
}

/* A host that leads to the port's server has nothing of its own on that leg. */
static void add_route(struct taking *taking, const struct route *route)
{
    add_policy(taking, client_leg, route->client_policy);
    if (route->place == 0 || route->settings->has_own_backend)
        add_policy(taking, backend_leg, route->backend_policy);
    for (size_t i = 0; i < route->host_count; i++)
        add_route(taking, route->hosts[i]);
}

static void add_all(struct taking *taking, const struct generation *generation)
{
    taking->count = 0;
    for (size_t i = 0; i < generation->settings->route_count; i++) {
        taking->route = generation->routes[i]->settings->name;
        taking->of_route = taking->count;
        add_route(taking, generation->routes[i]);
    }
}

bool inventory_take(struct inventory *out, const struct generation *generation)
{
    struct taking taking = { 0 };

    add_all(&taking, generation);
    *out = (struct inventory){ .items = calloc(taking.count + 1, sizeof *taking.items) };
    if (out->items == NULL)
        return false;
    taking.items = out->items;
    add_all(&taking, generation);
    out->count = taking.count;
    return true;
}

void inventory_fini(struct inventory *inventory)
{
    free(inventory->items);
    *inventory = (struct inventory){ 0 };
}

bool inventory_is_own(const struct inventory_item *item)
{
    return item->what == own_certificate;
}
