/* SPDX-License-Identifier: PostgreSQL */
/* What the connection string and the files that it names say, before anything is sent. */
#include "doctor/check.h"

#include "base/secret.h"
#include "base/text.h"
#include "tls/policy.h"
#include "x509/pem_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const source_words[] = {
    [SOURCE_NONE] = "nowhere",         [SOURCE_STRING] = "connection string",
    [SOURCE_SERVICE] = "service file", [SOURCE_ENVIRONMENT] = "environment",
    [SOURCE_HOME] = "home directory",  [SOURCE_PRESET] = "default",
};

static const char *source_of(const struct check *check, enum parameter parameter)
{
    return source_words[check->parameters->sources[parameter]];
}

static const char *get(const struct check *check, enum parameter parameter)
{
    return parameters_get(check->parameters, parameter);
}

/* ---- trust ---- */

static enum fail load_trust(struct check *check, const char *crl, struct failure *why)
{
    const char        *crl_dir = get(check, PARAMETER_SSLCRLDIR);
    struct trust_files files = { .file = get(check, PARAMETER_SSLROOTCERT),
                                 .crl_file = *crl != '\0' ? crl : NULL,
                                 .crl_dir = *crl_dir != '\0' ? crl_dir : NULL };

    check->trust = trust_load_files(&files, why);
    if (check->trust != NULL)
        return FAIL_NONE;
    check_note(check, why);
    return why->kind;
}

/* libpq takes no notice of lists that are not there. */
static const char *crl_file(const struct check *check)
{
    struct buf     text = BUF_LIMIT(0);
    struct failure why = { 0 };
    enum fail      rc =
        pem_file_read(get(check, PARAMETER_SSLCRL), PEM_FILE_CERTIFICATES, &text, &why);

    pem_file_wipe(&text);
    return rc != FAIL_NONE && why.errnum == ENOENT ? "" : get(check, PARAMETER_SSLCRL);
}

static void tell_trust(struct check *check)
{
    const char *file = get(check, PARAMETER_SSLROOTCERT);

    if (trust_is_system(check->trust))
        diagnosis_tell(check->diagnosis, "trust", "the CAs of the operating system (%s)",
                       source_of(check, PARAMETER_SSLROOTCERT));
    else
        diagnosis_tell(check->diagnosis, "trust", "%s: %zu CA%s (%s)", file,
                       trust_count(check->trust), trust_count(check->trust) == 1 ? "" : "s",
                       source_of(check, PARAMETER_SSLROOTCERT));
    if (trust_crl_count(check->trust) > 0)
        diagnosis_tell(check->diagnosis, "crl", "%s: %zu list%s", get(check, PARAMETER_SSLCRL),
                       trust_crl_count(check->trust),
                       trust_crl_count(check->trust) == 1 ? "" : "s");
}

static void look_at_trust(struct check *check)
{
    struct failure why = { 0 }, second = { 0 };
    enum severity  most = check_severity(check->checks_chain);
    char           text[DIAGNOSIS_TEXT];

    if (check->mode == MODE_DISABLE && check->is_redis)
        return;
    if (load_trust(check, crl_file(check), &why) == FAIL_NONE) {
        tell_trust(check);
        return;
    }
    if (load_trust(check, "", &second) == FAIL_NONE) {
        diagnosis_find_at_most(check->diagnosis, FINDING_CRL_UNREADABLE, most, "%s",
                               check_say(&why, text));
        trust_release(check->trust); /* it would pass what the lists would stop */
        check->trust = NULL;
        return;
    }
    diagnosis_find_at_most(
        check->diagnosis, why.errnum == ENOENT ? FINDING_ROOT_MISSING : FINDING_ROOT_UNREADABLE,
        most, "%s", check_say(&why, text));
}

/* ---- the client's certificate ---- */

/* sslpassword, asked for by a key that has a passphrase. */
struct given_passphrase {
    struct passphrase_source source;
    const char              *passphrase;
};

static enum fail give_passphrase(const struct passphrase_source *source, const char *key,
                                 struct secret *out, struct failure *why)
{
    const struct given_passphrase *given = (const struct given_passphrase *)source;
    struct bytes                   text = bytes_of_string(given->passphrase);
    enum fail                      rc = secret_init(out, text.len + 1, why);

    if (rc == FAIL_NONE && !secret_put(out, text))
        rc = FAIL_LIMIT;
    return rc;
}

static bool can_be_read(const char *file, enum pem_file_kind kind, struct failure *why)
{
    struct buf text = BUF_LIMIT(0);
    enum fail  rc = pem_file_read(file, kind, &text, why);

    pem_file_wipe(&text);
    return rc == FAIL_NONE;
}

/* Which finding a key is that cannot be loaded: its file's fault, or its content's. */
static enum finding fault_of_key(const char *key, struct failure *why)
{
    struct failure other = { 0 };

    if (private_key_is_uri(key) || can_be_read(key, PEM_FILE_KEY, &other))
        return FINDING_KEY_UNREADABLE;
    *why = other;
    if (why->errnum == ENOENT)
        return FINDING_KEY_MISSING;
    other = (struct failure){ 0 };
    return can_be_read(key, PEM_FILE_CERTIFICATES, &other) ? FINDING_KEY_MODE
                                                           : FINDING_KEY_UNREADABLE;
}

static enum finding fault_of_identity(const struct identity_files *files, struct failure *why)
{
    struct failure        other = { 0 };
    struct stack_st_X509 *certificates = pem_file_certificates(files->cert, &other);
    struct evp_pkey_st   *key;

    if (certificates == NULL) {
        *why = other;
        return other.errnum == ENOENT ? FINDING_CERTIFICATE_FILE_MISSING
                                      : FINDING_CERTIFICATE_FILE_UNREADABLE;
    }
    pem_file_free_certificates(certificates);
    key = private_key_load(files->key, files->passphrase, &other);
    if (key == NULL) {
        *why = other;
        return fault_of_key(files->key, why);
    }
    private_key_free(key);
    return FINDING_KEY_MISMATCH;
}

static void tell_identity(struct check *check)
{
    const struct certificate_facts *facts = identity_facts(check->identity);
    int64_t days = certificate_days_left(facts->not_after, check_wall_s());

    diagnosis_tell(check->diagnosis, "client-certificate", "%s, issued by %s, %lld days left",
                   facts->subject, facts->issuer, (long long)days);
    if (days < 0)
        diagnosis_find(check->diagnosis, FINDING_OWN_CERTIFICATE_EXPIRED, "%s, %lld days ago",
                       facts->subject, (long long)-days);
}

static void look_at_identity(struct check *check)
{
    struct given_passphrase given = { .source.get = give_passphrase,
                                      .passphrase = get(check, PARAMETER_SSLPASSWORD) };
    struct identity_files   files = { .cert = get(check, PARAMETER_SSLCERT),
                                      .key = get(check, PARAMETER_SSLKEY) };
    struct failure          why = { 0 };
    enum finding            fault;
    char                    text[DIAGNOSIS_TEXT];

    if (*files.cert == '\0' || strcmp(get(check, PARAMETER_SSLCERTMODE), "disable") == 0 ||
        check->mode == MODE_DISABLE)
        return;
    if (*given.passphrase != '\0')
        files.passphrase = &given.source;
    if ((check->identity = identity_load(&files, &why)) != NULL) {
        tell_identity(check);
        return;
    }
    check_note(check, &why);
    fault = fault_of_identity(&files, &why);
    check->identity_broken = true;
    diagnosis_find(check->diagnosis, fault, "%s", check_say(&why, text));
}

/* ---- the rest ---- */

static void tell_idle(struct check *check)
{
    char   list[DIAGNOSIS_TEXT] = "";
    size_t at = 0;

    for (enum parameter i = PARAMETER_FIRST_IDLE; i < PARAMETER_COUNT; i++) {
        if (check->parameters->values[i] != NULL && at + 40 < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at > 0 ? ", " : "",
                                   parameter_row(i)->name);
    }
    if (at > 0)
        diagnosis_find(check->diagnosis, FINDING_SETTINGS_IDLE, "%s", list);
}

static void tell_password(struct check *check)
{
    char  warning[256];
    char *password = sources_password(check->parameters, &check->endpoints.items[0], warning);

    if (*warning != '\0')
        diagnosis_find(check->diagnosis, FINDING_PASSWORD_FILE_UNREAD, "%s", warning);
    if (password == NULL)
        diagnosis_tell(check->diagnosis, "password", "none");
    else if (parameters_has(check->parameters, PARAMETER_PASSWORD))
        diagnosis_tell(check->diagnosis, "password", "given (%s)",
                       source_of(check, PARAMETER_PASSWORD));
    else
        diagnosis_tell(check->diagnosis, "password", "from %s", get(check, PARAMETER_PASSFILE));
    if (password != NULL)
        secret_wipe(password, strlen(password));
    free(password);
}

static bool is_on_unix_socket(const struct check *check)
{
    return check->endpoints.items[0].host[0] == '/';
}

void step_settings(struct check *check)
{
    struct failure why = { 0 };
    char           text[DIAGNOSIS_TEXT];

    diagnosis_tell(check->diagnosis, "target", "%s", check->diagnosis->target);
    diagnosis_tell(check->diagnosis, "sslmode", "%s (%s)", get(check, PARAMETER_SSLMODE),
                   source_of(check, PARAMETER_SSLMODE));
    tell_password(check);
    tell_idle(check);
    if (check->mode < MODE_CA && !is_on_unix_socket(check))
        diagnosis_find(check->diagnosis, FINDING_SETTINGS_WEAK_MODE, "sslmode=%s",
                       get(check, PARAMETER_SSLMODE));
    look_at_trust(check);
    look_at_identity(check);
    check->looking = check_new_context(check, MODE_REQUIRE, &why);
    if (check->looking == NULL) {
        diagnosis_find(check->diagnosis, FINDING_KEY_UNREADABLE, "%s", check_say(&why, text));
        check->stops = true;
    }
}
