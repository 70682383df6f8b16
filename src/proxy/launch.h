/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/launch.h - from files to what can serve
 *
 * The order at a start: read the settings, bind the addresses (a port below 1024 may need
 * root), become the user, and then read the settings again and everything that they name.  So
 * whatever a reload reads is read once as the user that reads it then, and a file that the user
 * cannot read fails the start and not the first reload.
 */
#ifndef PGTLS_PROXY_LAUNCH_H
#define PGTLS_PROXY_LAUNCH_H

#include "proxy/generation.h"
#include "proxy/listening.h"

struct launch {
    unsigned           worker_count;
    struct listening  *listening;
    struct generation *generation;
};

/* Both are NULL after any error. */
bool launch_start(struct launch *out, const struct settings_source *source,
                  struct conf_problems *problems);

/*
 * For --check: binds nothing, but becomes the user, and stays it.  Where that takes root, it is
 * a warning, and files are read as whoever we are.
 */
struct generation *launch_check(const struct settings_source *source,
                                struct conf_problems         *problems);

unsigned launch_worker_count(const struct proxy_settings *settings);

/* Raises the limit of open files as far as it goes; warns where that is not enough. */
void launch_raise_open_files(const struct proxy_settings *settings,
                             struct conf_problems        *problems);

/* PGTLS_LOG of the environment overrides log_level.  False after a problem. */
bool launch_log_options(struct log_options *out, const struct proxy_settings *settings,
                        struct conf_problems *problems);

#endif
