/* SPDX-License-Identifier: PostgreSQL */
/* What the errors of a server during a login mean. */
#include "base/text.h"
#include "doctor/login.h"
#include "pg/error_response.h"

#include <stdio.h>
#include <string.h>

/* The first row that fits.  Texts are those of servers that speak English; where one is
 * translated, the row without a text counts. */
static const struct {
    const char  *code;
    const char  *text; /* somewhere in the message; NULL: any */
    enum finding finding;
} errors[] = {
    { "53300", NULL, FINDING_TOO_MANY_CONNECTIONS },
    { "57P03", "shutting down", FINDING_SHUTTING_DOWN },
    { "57P03", NULL, FINDING_STARTING_UP },
    { "57P01", NULL, FINDING_SHUTTING_DOWN },
    { "57P02", NULL, FINDING_SHUTTING_DOWN },
    { "3D000", NULL, FINDING_DATABASE_UNKNOWN },
    { "42501", NULL, FINDING_DATABASE_FORBIDDEN },
    { "55000", "accepting connections", FINDING_DATABASE_FORBIDDEN },
    { "28P01", NULL, FINDING_PASSWORD_WRONG },
    { "28000", "channel binding check failed", FINDING_BINDING_BROKEN },
    { "28000", "channel binding negotiation", FINDING_BINDING_STRIPPED },
    { "28000", "pg_hba.conf", FINDING_NO_HBA_ENTRY },
    { "28000", "requires a valid client certificate", FINDING_CLIENT_CERTIFICATE_MISSING },
    { "28000", "requires a client certificate", FINDING_CLIENT_CERTIFICATE_MISSING },
    { "28000", "certificate authentication failed", FINDING_CLIENT_CERTIFICATE_NAME },
    { "28000", "client certificate", FINDING_CLIENT_CERTIFICATE_NAME },
    { "28000", "does not exist", FINDING_USER_UNKNOWN },
    { "28000", "not permitted to log in", FINDING_USER_UNKNOWN },
    { "28000", "requires a TLS", FINDING_PLAINTEXT_REFUSED },
};

static enum finding finding_of(const struct error_response *error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (error_response_has_code(error, errors[i].code) &&
            (errors[i].text == NULL || strstr(error->message, errors[i].text) != NULL))
            return errors[i].finding;
    }
    return FINDING_LOGIN_REFUSED;
}

void login_explain_error(struct check *check, struct bytes message)
{
    struct error_response error = { 0 };
    char                  text[300], code[16];

    if (!error_response_read(&error, message)) {
        diagnosis_find(check->diagnosis, FINDING_PROTOCOL_BROKEN,
                       "an error that cannot be read");
        return;
    }
    if (error.message == NULL)
        error.message = "an error without a text";
    text_escape(text, sizeof text, bytes_of_string(error.message));
    text_escape(code, sizeof code,
                bytes_of_string(error.code != NULL ? error.code : "no code"));
    diagnosis_find(check->diagnosis, finding_of(&error), "%s: %s", code, text);
}
