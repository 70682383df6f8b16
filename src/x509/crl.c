/* SPDX-License-Identifier: PostgreSQL */
#include "x509/crl.h"

#include "x509/certificate.h"
#include "x509/pem_file.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MOST_LISTS     4096u
#define LONGEST_NUMBER 20u

struct crl_entry {
    X509_CRL        *crl;
    struct crl_facts facts;
};

struct crl_list {
    struct crl_entry *entries;
    size_t            count;
};

static void entry_fini(struct crl_entry *entry)
{
    X509_CRL_free(entry->crl);
    free(entry->facts.file);
    free(entry->facts.issuer);
    free(entry->facts.number);
    free(entry->facts.fingerprint);
}

/* At most 20 octets are lawful (RFC 5280 5.2.3); more are cut. */
static char *number_text(const X509_CRL *crl)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    char         *text = number == NULL
                             ? certificate_copy_text("")
                             : certificate_hex(bytes_first(bytes_of(ASN1_STRING_get0_data(number),
                                                                    (size_t)ASN1_STRING_length(number)),
                                                           LONGEST_NUMBER));

    ASN1_INTEGER_free(number);
    return text;
}

static enum fail fill_facts(struct crl_entry *entry, const char *file, struct failure *why)
{
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(entry->crl);
    int              revoked = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(entry->crl));
    uint8_t          digest[EVP_MAX_MD_SIZE];
    unsigned         len = 0;

    if (X509_CRL_digest(entry->crl, EVP_sha256(), digest, &len) != 1)
        return fail(why, FAIL_MEMORY, "out of memory");
    entry->facts = (struct crl_facts){
        .file = certificate_copy_text(file),
        .issuer = certificate_name_text(X509_CRL_get_issuer(entry->crl)),
        .number = number_text(entry->crl),
        .fingerprint = certificate_hex(bytes_of(digest, len)),
        .this_update = certificate_seconds(X509_CRL_get0_lastUpdate(entry->crl)),
        .next_update = next != NULL ? certificate_seconds(next) : 0,
        .revoked = revoked > 0 ? (size_t)revoked : 0,
    };
    if (entry->facts.file != NULL && entry->facts.issuer != NULL &&
        entry->facts.number != NULL && entry->facts.fingerprint != NULL)
        return FAIL_NONE;
    return fail(why, FAIL_MEMORY, "out of memory");
}

static bool has(const struct crl_list *list, const struct crl_entry *entry)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].facts.fingerprint, entry->facts.fingerprint) == 0)
            return true;
    }
    return false;
}

/* Takes over the list, whatever it returns. */
static enum fail add(struct crl_list *list, X509_CRL *crl, const char *file,
                     struct failure *why)
{
    struct crl_entry  entry = { .crl = crl };
    struct crl_entry *more = NULL;
    enum fail         rc = fill_facts(&entry, file, why);

    if (rc == FAIL_NONE && has(list, &entry)) {
        entry_fini(&entry);
        return FAIL_NONE;
    }
    if (rc == FAIL_NONE && list->count == MOST_LISTS)
        rc = fail(why, FAIL_LIMIT, "%s: more than %u revocation lists", file, MOST_LISTS);
    if (rc == FAIL_NONE &&
        (more = realloc(list->entries, (list->count + 1) * sizeof *more)) == NULL)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    if (rc != FAIL_NONE) {
        entry_fini(&entry);
        return rc;
    }
    list->entries = more;
    list->entries[list->count++] = entry;
    return FAIL_NONE;
}

static enum fail parse(struct crl_list *list, struct bytes text, const char *file,
                       size_t *found, struct failure *why)
{
    BIO          *bio = BIO_new_mem_buf(text.p, (int)text.len);
    X509_CRL     *crl;
    unsigned long error;
    enum fail     rc = bio != NULL ? FAIL_NONE : fail(why, FAIL_MEMORY, "out of memory");

    *found = 0;
    ERR_clear_error();
    while (rc == FAIL_NONE && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        (*found)++;
        rc = add(list, crl, file, why);
    }
    BIO_free(bio);
    error = ERR_peek_last_error();
    ERR_clear_error();
    if (rc == FAIL_NONE &&
        (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE))
        rc = fail(why, FAIL_CERT, "revocation list %zu in %s is damaged", *found + 1, file);
    return rc;
}

static enum fail load_file(struct crl_list *list, const char *file, size_t *found,
                           struct failure *why)
{
    struct buf text;
    enum fail  rc = pem_file_read(file, PEM_FILE_CERTIFICATES, &text, why);

    if (rc == FAIL_NONE)
        rc = parse(list, buf_bytes(&text), file, found, why);
    pem_file_wipe(&text);
    return rc;
}

static enum fail fail_none(const char *where, struct failure *why)
{
    fail_hint(why, "PEM text with BEGIN X509 CRL is expected");
    return fail(why, FAIL_CERT, "no revocation list in %s", where);
}

/* "x.crl", "5ed36f99.r0" */
static bool is_named_as_list(const char *name)
{
    const char *dot = strrchr(name, '.');

    if (dot == NULL)
        return false;
    return strcmp(dot, ".crl") == 0 || (dot[1] == 'r' && dot[2] != '\0' &&
                                        strspn(dot + 2, "0123456789") == strlen(dot + 2));
}

static enum fail load_entry(struct crl_list *list, const char *dir, const char *name,
                            struct failure *why)
{
    size_t      size = strlen(dir) + strlen(name) + 2, found = 0;
    char       *path = malloc(size);
    struct stat st;
    enum fail   rc = FAIL_NONE;

    if (path == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    snprintf(path, size, "%s/%s", dir, name);
    if (stat(path, &st) != 0)
        rc = fail_errno(why, errno, "could not stat %s", path);
    else if (S_ISREG(st.st_mode) && (st.st_size > 0 || is_named_as_list(name))) {
        rc = load_file(list, path, &found, why);
        if (rc == FAIL_NONE && found == 0 && is_named_as_list(name))
            rc = fail_none(path, why);
    }
    free(path);
    return rc;
}

/* Kubernetes keeps its versions under names with a dot. */
static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static enum fail load_dir(struct crl_list *list, const char *dir, struct failure *why)
{
    struct dirent **entries;
    enum fail       rc = FAIL_NONE;
    /* sorted, so that the same files give the same list */
    int count = scandir(dir, &entries, is_visible, alphasort);

    if (count < 0)
        return fail_errno(why, errno, "could not read the directory %s", dir);
    for (int i = 0; i < count; i++) {
        if (rc == FAIL_NONE)
            rc = load_entry(list, dir, entries[i]->d_name, why);
        free(entries[i]);
    }
    free(entries);
    if (rc == FAIL_NONE && list->count == 0)
        rc = fail_none(dir, why);
    return rc;
}

struct crl_list *crl_list_load(const char *file, const char *dir, struct failure *why)
{
    struct crl_list *list = calloc(1, sizeof *list);
    size_t           found = 0;
    enum fail        rc = FAIL_NONE;

    if (list == NULL) {
        fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    if (file != NULL && (rc = load_file(list, file, &found, why)) == FAIL_NONE && found == 0)
        rc = fail_none(file, why);
    if (rc == FAIL_NONE && dir != NULL)
        rc = load_dir(list, dir, why);
    if (rc == FAIL_NONE)
        return list;
    crl_list_free(list);
    return NULL;
}

void crl_list_free(struct crl_list *list)
{
    for (size_t i = 0; list != NULL && i < list->count; i++)
        entry_fini(&list->entries[i]);
    if (list != NULL)
        free(list->entries);
    free(list);
}

size_t crl_list_count(const struct crl_list *list)
{
    return list != NULL ? list->count : 0;
}

const struct crl_facts *crl_list_facts(const struct crl_list *list, size_t n)
{
    return &list->entries[n].facts;
}

X509_CRL *crl_list_get(const struct crl_list *list, size_t n)
{
    return list->entries[n].crl;
}
