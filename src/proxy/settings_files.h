/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_files.h - the certificates, keys and authorities that a route names
 *
 * Each function notes what is wrong with a file as a problem of the setting that
 * names it.
 */
#ifndef PGTLS_PROXY_SETTINGS_FILES_H
#define PGTLS_PROXY_SETTINGS_FILES_H

#include "proxy/settings.h"
#include "x509/identity.h"
#include "x509/trust.h"

/* The certificate and key shown to clients (SECTION_LISTENER) or to the server
 * (SECTION_BACKEND); both are set.  NULL after a problem; otherwise the caller releases it. One
 * that is outside its dates warns. */
struct identity *settings_load_identity(const struct route_settings *route,
                                        enum settings_section        side,
                                        struct conf_problems        *problems);

/* The same for client_ca or root_ca. */
struct trust *settings_load_trust(const struct route_settings *route,
                                  enum settings_section side, struct conf_problems *problems);

/* Loads each file once and keeps none: for settings that have errors and will not be served. */
void settings_prove_files(const struct proxy_settings *settings,
                          struct conf_problems        *problems);

#endif
