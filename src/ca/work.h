/* SPDX-License-Identifier: PostgreSQL */
/*
 * ca/work.h - what the recipes share: one order on its way to files
 */
#ifndef PGTLS_CA_WORK_H
#define PGTLS_CA_WORK_H

#include "ca/file_set.h"
#include "ca/folder.h"
#include "ca/lock.h"
#include "ca/order.h"

struct evp_pkey_st;
struct x509_st;

struct ca_work {
    const struct ca_order        *order;
    struct ca_outcome            *outcome;
    struct failure               *why;
    struct X509_name_st          *subject;
    struct stack_st_GENERAL_NAME *names;
    char                         *cert, *key_file, *root; /* paths */
    struct ca_folder              folder;                 /* of the authority that signs */
    struct folder_lock            lock;
    struct evp_pkey_st           *key; /* the new one, or that of a request (not ours) */
    struct x509_st               *certificate;
    struct file_set               files;
    bool                          made_folder;
    bool                          may_replace;
};

/* Paths, the folder for the files and the authority's certificates.  End with ca_work_fini,
 * whatever was returned; `rc` is how it all ended. */
enum fail ca_work_init(struct ca_work *work, const struct ca_order *order,
                       struct ca_outcome *outcome, struct failure *why) WARN_UNUSED;
void      ca_work_fini(struct ca_work *work, enum fail rc);

/* Locks the folders, the authority's too. */
enum fail ca_work_lock(struct ca_work *work) WARN_UNUSED;

/* Makes the certificate for work->key, and notes it in the authority's index. */
enum fail ca_work_issue(struct ca_work *work) WARN_UNUSED;

/* Adds root.crt and, behind it, the certificate with its chain to the files. */
enum fail ca_work_add_chain(struct ca_work *work) WARN_UNUSED;

/* The last step: the files take their places, and the outcome says so. */
enum fail ca_work_commit(struct ca_work *work) WARN_UNUSED;

/* Adds the key, with a passphrase where the order has one. */
enum fail ca_work_add_key(struct ca_work *work) WARN_UNUSED;

#endif
