/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_files.h - the certificates, keys, authorities and maps that a route names
 *
 * Each function notes what is wrong with a file as a problem of the setting that
 * names it.
 */
#ifndef PGTLS_PROXY_SETTINGS_FILES_H
#define PGTLS_PROXY_SETTINGS_FILES_H

#include "base/secret.h"
#include "conf/ident_map.h"
#include "proxy/settings.h"
#include "scram/userlist.h"
#include "tls/policy.h"

/*
 * The certificates and keys shown to clients (SECTION_LISTENER) or to the server
 * (SECTION_BACKEND), in the order of the settings, and NULL behind them; none where none is
 * set. The caller releases them.  False after a problem.  One that is outside its dates warns.
 */
bool settings_load_identities(const struct route_settings *route, enum settings_section side,
                              struct identity      *out[static TLS_MOST_IDENTITIES],
                              struct conf_problems *problems);
void settings_release_identities(struct identity *identities[static TLS_MOST_IDENTITIES]);

/* client_ca or root_ca with its revocation lists, where `pool` has not loaded the same before.
 * NULL where none is set, and after a problem. */
struct trust *settings_load_trust(const struct route_settings *route,
                                  enum settings_section side, struct trust_pool *pool,
                                  struct conf_problems *problems);

/* ident_map out of ident_file, whose text is appended to `text`.  NULL where none is set, and
 * after a problem. */
struct ident_map *settings_load_map(const struct route_settings *route, struct buf *text,
                                    struct conf_problems *problems);

/* ticket_key_file, or new keys without one; NULL where there are no tickets, and after a
 * problem. */
struct tls_ticket_keys *settings_load_ticket_keys(const struct route_settings *route,
                                                  struct conf_problems        *problems);

/* auth_file; NULL where none is set, and after a problem. */
struct userlist *settings_load_users(const struct route_settings *route,
                                     struct conf_problems        *problems);

/* auth_query_password_file: the first line of it; empty where none is set, and after a problem.
 * End with secret_fini. */
struct secret settings_load_query_password(const struct route_settings *route,
                                           struct conf_problems        *problems);

/* Loads each file once and keeps none: for settings that have errors and will not be served.
 * No key_passphrase_command is run for that. */
void settings_prove_files(const struct proxy_settings *settings,
                          struct conf_problems        *problems);

#endif
