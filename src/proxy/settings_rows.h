/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/settings_rows.h - the rows of settings_table.c, a file for each side
 */
#ifndef PGTLS_PROXY_SETTINGS_ROWS_H
#define PGTLS_PROXY_SETTINGS_ROWS_H

#include "proxy/settings_table.h"

#define LONGEST_PATH      4095
#define LONGEST_HOST_NAME 253
#define LONGEST_ADDRESS   300
#define LONGEST_COMMAND   4000
#define LONGEST_LIST      2000
#define LONGEST_QUERY     4000

#define NOT_YET "is not available in this version"

/* Each ends with a row without name. */
extern const struct option settings_listener_rows[];
extern const struct option settings_client_tls_rows[]; /* of a listener too, and of a host */
extern const struct option settings_host_rows[];
extern const struct option settings_backend_rows[];
extern const struct option settings_limit_rows[];

extern const struct option_choice settings_sslmodes[];
extern const struct option_choice settings_tls_versions[];
extern const struct option_choice settings_record_layers[];

#endif
