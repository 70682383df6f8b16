/* SPDX-License-Identifier: PostgreSQL */
/*
 * x509/pem_write.h - certificates, requests and lists as PEM text, appended to a buffer
 */
#ifndef PGTLS_X509_PEM_WRITE_H
#define PGTLS_X509_PEM_WRITE_H

#include "base/buf.h"
#include "base/fail.h"

struct x509_st;
struct X509_req_st;
struct X509_crl_st;

enum fail pem_write_certificate(struct buf *out, struct x509_st *certificate,
                                struct failure *why) WARN_UNUSED;
enum fail pem_write_request(struct buf *out, struct X509_req_st *request,
                            struct failure *why) WARN_UNUSED;
enum fail pem_write_crl(struct buf *out, struct X509_crl_st *crl,
                        struct failure *why) WARN_UNUSED;

#endif
