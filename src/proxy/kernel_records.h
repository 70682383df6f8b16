/* SPDX-License-Identifier: PostgreSQL */
/*
 * proxy/kernel_records.h - record_layer = "kernel": what this machine's kernel can do of it
 */
#ifndef PGTLS_PROXY_KERNEL_RECORDS_H
#define PGTLS_PROXY_KERNEL_RECORDS_H

#include "proxy/settings.h"
#include "tls/policy.h"

/*
 * Where the policy asks for the kernel: tries it, fills options->kernel, and warns of all that
 * it cannot.  `setting` is "listener.record_layer" or the backend's.
 */
void kernel_records_find_out(struct tls_policy_options   *options,
                             const struct route_settings *settings, const char *setting,
                             struct conf_problems *problems);

#endif
