/* SPDX-License-Identifier: PostgreSQL */
#include "x509/pem_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_LABEL 40
#define LARGEST_FILE  ((size_t)8 << 20) /* a system's bundle has about 250 KB */

static enum fail check_owner_and_mode(const char *file, enum pem_file_kind kind,
                                      const struct stat *st, struct failure *why)
{
    mode_t forbidden = st->st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;

    if (st->st_uid != 0 && st->st_uid != geteuid() &&
        (kind != PEM_FILE_SERVERS_KEY || geteuid() != 0)) {
        fail_hint(why, "chown it to the user that pgtls runs as, or to root");
        return fail(why, FAIL_CERT,
                    "key file %s must be owned by uid %u or root, not by uid %u", file,
                    (unsigned)geteuid(), (unsigned)st->st_uid);
    }
    if ((st->st_mode & forbidden) != 0) {
        fail_hint(why, "chmod 0600, or 0640 if root owns it");
        return fail(why, FAIL_CERT, "key file %s has group or world access (mode %04o)", file,
                    (unsigned)(st->st_mode & 07777));
    }
    return FAIL_NONE;
}

static enum fail check_file(const char *file, enum pem_file_kind kind, const struct stat *st,
                            struct failure *why)
{
    if (!S_ISREG(st->st_mode))
        return fail(why, FAIL_CERT, "%s is not a regular file", file);
    if (kind != PEM_FILE_CERTIFICATES && check_owner_and_mode(file, kind, st, why) != FAIL_NONE)
        return FAIL_CERT;
    if (st->st_size <= 0)
        return fail(why, FAIL_CERT, "%s is empty", file);
    if ((size_t)st->st_size > LARGEST_FILE)
        return fail(why, FAIL_CERT, "%s is too large for a PEM file", file);
    return FAIL_NONE;
}

static enum fail read_all(int fd, const char *file, size_t size, struct buf *out,
                          struct failure *why)
{
    uint8_t *to;

    /* at once: a buffer that grew would leave copies of a key behind */
    buf_init(out, size);
    if ((to = buf_reserve(out, size)) == NULL)
        return fail(why, FAIL_MEMORY, "out of memory");
    while (out->len < size) {
        ssize_t n = read(fd, to + out->len, size - out->len);

        if (n < 0 && errno != EINTR)
            return fail_errno(why, errno, "could not read %s", file);
        if (n == 0)
            break;
        if (n > 0)
            buf_wrote(out, (size_t)n);
    }
    return FAIL_NONE;
}

/* The bytes inside the one DER SEQUENCE that the file is, or nothing: then it may be text. */
static struct bytes der_content(struct bytes b)
{
    size_t header = 2, len;

    if (b.len < 4 || b.p[0] != 0x30)
        return bytes_of(NULL, 0);
    len = b.p[1];
    if (len >= 0x80) {
        header += len & 0x7f;
        len = 0;
        for (size_t i = 2; i < header && i < 6 && i < b.len; i++)
            len = len << 8 | b.p[i];
    }
    return header + len == b.len ? bytes_of(b.p + header, len) : bytes_of(NULL, 0);
}

static enum fail check_is_text(const char *file, struct bytes b, struct failure *why)
{
    struct bytes content = der_content(b);

    if (content.len == 0)
        return FAIL_NONE;
    /* PKCS#12 begins with its version, 3 */
    if (bytes_equal(bytes_first(content, 3), BYTES("\x02\x01\x03"))) {
        fail_hint(why, "convert it: openssl pkcs12 -in %s -nodes -out FILE.pem", file);
        return fail(why, FAIL_CERT, "%s is PKCS#12, not PEM", file);
    }
    fail_hint(why, "convert it: openssl x509 (or pkey) -inform der -in %s -out FILE.pem", file);
    return fail(why, FAIL_CERT, "%s is DER, not PEM", file);
}

enum fail pem_file_read(const char *file, enum pem_file_kind kind, struct buf *out,
                        struct failure *why)
{
    /* without O_NONBLOCK the open of a FIFO waits for its writer */
    int         fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    enum fail   rc;

    buf_init(out, 0);
    if (fd < 0) {
        if (errno == ENXIO) /* a socket */
            return fail(why, FAIL_CERT, "%s is not a regular file", file);
        if (errno == EACCES)
            fail_hint(why, "uid %u must be able to read it", (unsigned)geteuid());
        return fail_errno(why, errno, "could not open %s", file);
    }
    if (fstat(fd, &st) != 0)
        rc = fail_errno(why, errno, "could not stat %s", file);
    else if ((rc = check_file(file, kind, &st, why)) == FAIL_NONE &&
             (rc = read_all(fd, file, (size_t)st.st_size, out, why)) == FAIL_NONE)
        rc = check_is_text(file, buf_bytes(out), why);
    close(fd);
    return rc;
}

void pem_file_wipe(struct buf *text)
{
    if (text->memory != NULL)
        OPENSSL_cleanse(text->memory, text->capacity);
    buf_fini(text);
}

/* What follows the first BEGIN, such as "EC PRIVATE KEY"; empty where it is none of PEM's. */
static struct bytes first_label(struct bytes text)
{
    static const char begin[] = "-----BEGIN ",
                      letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ";
    const uint8_t *at = memmem(text.p, text.len, begin, strlen(begin));
    struct bytes   rest;
    size_t         len = 0;

    if (at == NULL)
        return bytes_of(NULL, 0);
    at += strlen(begin);
    rest = bytes_of(at, (size_t)(text.p + text.len - at));
    while (len < rest.len && len < LONGEST_LABEL &&
           memchr(letters, rest.p[len], strlen(letters)))
        len++;
    return bytes_first(rest, len);
}

static enum fail fail_for_lack(const char *file, struct bytes text, struct failure *why)
{
    struct bytes label = first_label(text);

    fail_hint(why, "PEM text with BEGIN CERTIFICATE is expected");
    if (label.len == 0)
        return fail(why, FAIL_CERT, "no certificate in %s", file);
    return fail(why, FAIL_CERT, "no certificate in %s, but BEGIN %.*s", file, (int)label.len,
                (const char *)label.p);
}

/* Adds what is in the text; false where it is damaged. */
static bool parse_certificates(struct stack_st_X509 *to, struct bytes text)
{
    BIO          *bio = BIO_new_mem_buf(text.p, (int)text.len);
    X509         *certificate;
    unsigned long error;

    ERR_clear_error();
    while (bio != NULL &&
           (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(to, certificate) == 0) {
            X509_free(certificate);
            break;
        }
    }
    BIO_free(bio);
    error = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

struct stack_st_X509 *pem_file_certificates(const char *file, struct failure *why)
{
    struct stack_st_X509 *all = sk_X509_new_null();
    struct buf            text = BUF_LIMIT(0);
    enum fail             rc;

    if (all == NULL)
        rc = fail(why, FAIL_MEMORY, "out of memory");
    else if ((rc = pem_file_read(file, PEM_FILE_CERTIFICATES, &text, why)) != FAIL_NONE)
        ;
    else if (!parse_certificates(all, buf_bytes(&text))) {
        fail_hint(why, "copy it again, whole lines from BEGIN CERTIFICATE to END CERTIFICATE");
        rc =
            fail(why, FAIL_CERT, "certificate %d in %s is damaged", sk_X509_num(all) + 1, file);
    } else if (sk_X509_num(all) == 0)
        rc = fail_for_lack(file, buf_bytes(&text), why);
    pem_file_wipe(&text);
    if (rc == FAIL_NONE)
        return all;
    pem_file_free_certificates(all);
    return NULL;
}

void pem_file_free_certificates(struct stack_st_X509 *certificates)
{
    sk_X509_pop_free(certificates, X509_free);
}

static const struct {
    const char      *begin;
    enum pem_content content;
} blocks[] = {
    { "-----BEGIN CERTIFICATE-----", PEM_CERTIFICATE },
    { "-----BEGIN TRUSTED CERTIFICATE-----", PEM_CERTIFICATE },
    { "-----BEGIN X509 CERTIFICATE-----", PEM_CERTIFICATE },
    { "-----BEGIN CERTIFICATE REQUEST-----", PEM_REQUEST },
    { "-----BEGIN NEW CERTIFICATE REQUEST-----", PEM_REQUEST },
    { "-----BEGIN X509 CRL-----", PEM_CRL },
};

/* The block that begins first. */
static bool find_block(struct bytes text, enum pem_content *out)
{
    const uint8_t *first = NULL;

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char    *begin = blocks[i].begin;
        const uint8_t *at = memmem(text.p, text.len, begin, strlen(begin));

        if (at != NULL && (first == NULL || at < first)) {
            first = at;
            *out = blocks[i].content;
        }
    }
    return first != NULL;
}

enum fail pem_file_content(const char *file, enum pem_content *out, struct failure *why)
{
    struct buf text;
    enum fail  rc = pem_file_read(file, PEM_FILE_CERTIFICATES, &text, why);

    if (rc == FAIL_NONE && !find_block(buf_bytes(&text), out)) {
        fail_hint(why, "PEM text with BEGIN CERTIFICATE, CERTIFICATE REQUEST or X509 CRL is "
                       "expected");
        rc = fail(why, FAIL_CERT, "no certificate, request or revocation list in %s", file);
    }
    pem_file_wipe(&text);
    return rc;
}
