/* SPDX-License-Identifier: PostgreSQL */
/*
 * cli/cert_report.h - certificates, requests and lists as text for people and as JSON
 */
#ifndef PGTLS_CLI_CERT_REPORT_H
#define PGTLS_CLI_CERT_REPORT_H

#include "base/buf.h"
#include "sync/fetch.h"
#include "x509/crl.h"
#include "x509/request.h"

#define CERT_REPORT_BYTES ((size_t)16 * 1024 * 1024)

/* `source` is the file or the server; `facts` NULL for a file. */
void cert_report_chain(struct buf *out, const struct chain *chain, const char *source,
                       const struct fetch_facts *facts, int64_t now);
void cert_report_chain_json(struct buf *out, const struct chain *chain, const char *source,
                            const struct fetch_facts *facts, int64_t now);

void cert_report_request(struct buf *out, const struct request_facts *facts,
                         const char *source);
void cert_report_request_json(struct buf *out, const struct request_facts *facts,
                              const char *source);

void cert_report_lists(struct buf *out, const struct crl_list *lists, const char *source,
                       int64_t now);
void cert_report_lists_json(struct buf *out, const struct crl_list *lists, const char *source,
                            int64_t now);

#endif
