/* SPDX-License-Identifier: PostgreSQL */
#include "cli/manual.h"

#include "cli/cert_words.h"
#include "cli/command.h"
#include "conf/manual.h"
#include "proxy/end_reason.h"
#include "proxy/settings.h"
#include "runtime/log.h"

#include <stdio.h>

#define USAGE_BYTES ((size_t)16 * 1024)
#define REASONS     "The reason of connection.end is what happened first:"

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARN] = "warn",
        [LOG_ERROR] = "error",
    };

    return names[level];
}

void manual_write_events(struct buf *out)
{
    for (enum log_event event = 0; event < EVENT_COUNT; event++) {
        const struct log_event_row *row = log_event_row(event);

        buf_put_format(out, "%-24s %-6s %s\n", row->name, level_name(row->level), row->help);
    }
    buf_put(out, BYTES("\n" REASONS "\n\n"));
    for (enum end_reason reason = END_NONE + 1; reason < END_REASON_COUNT; reason++)
        buf_put_format(out, "%-24s %s\n", end_reason_row(reason)->name,
                       end_reason_row(reason)->help);
}

/* ---- parts of pages ---- */

static void put_heading(struct buf *out, const char *heading)
{
    buf_put_format(out, ".SH \"%s\"\n", heading);
}

static void put_paragraph(struct buf *out, const char *text)
{
    conf_write_roff(out, text);
    buf_put(out, BYTES("\n"));
}

/* A term in bold, and what it means. */
static void put_term(struct buf *out, const char *term, const char *text)
{
    buf_put(out, BYTES(".TP\n\\fB"));
    conf_write_roff(out, term);
    buf_put(out, BYTES("\\fR\n"));
    put_paragraph(out, text);
}

/* Text with its own line ends; frees it. */
static void put_as_it_is(struct buf *out, struct buf *text)
{
    buf_put_u8(text, 0);
    buf_put(out, BYTES(".nf\n"));
    put_paragraph(out, buf_ok(text) ? (const char *)buf_bytes(text).p : "");
    buf_put(out, BYTES(".fi\n"));
    buf_fini(text);
}

static void put_commands(struct buf *out)
{
    put_heading(out, "COMMANDS");
    for (const struct command *c = command_table(); c->word != NULL; c++) {
        struct buf usage = BUF_LIMIT(USAGE_BYTES);

        command_write_usage(c, NULL, &usage);
        buf_put_format(out, ".SS \"pgtls %s: %s\"\n", c->word, c->summary);
        put_as_it_is(out, &usage);
    }
}

static void put_events(struct buf *out)
{
    put_heading(out, "EVENTS");
    put_paragraph(out,
                  "One event is one line of the log. The first word of its name is the part "
                  "that log_level knows it by.");
    for (enum log_event event = 0; event < EVENT_COUNT; event++) {
        const struct log_event_row *row = log_event_row(event);
        char                        term[80];

        snprintf(term, sizeof term, "%s (%s)", row->name, level_name(row->level));
        put_term(out, term, row->help);
    }
}

static void put_reasons(struct buf *out)
{
    put_heading(out, "REASONS");
    put_paragraph(out, REASONS);
    for (enum end_reason reason = END_NONE + 1; reason < END_REASON_COUNT; reason++)
        put_term(out, end_reason_row(reason)->name, end_reason_row(reason)->help);
}

static void put_signals(struct buf *out)
{
    put_heading(out, "SIGNALS");
    put_term(
        out, "SIGHUP",
        "Loads the whole configuration again, with certificates, keys and authorities, and "
        "opens the log file again. With any error nothing changes, and the log says why. "
        "Sessions live on; those of routes that are gone are ended between messages. Files "
        "with "
        "certificates and keys that change are loaded without it: see cert_refresh_interval.");
    put_term(out, "SIGTERM, SIGINT",
             "New connections are refused, and sessions are ended between messages; after "
             "drain_timeout the rest is closed. A second one ends all at once.");
}

static void put_exit_status(struct buf *out)
{
    put_heading(out, "EXIT STATUS");
    put_term(out, "0", "Stopped cleanly; or, with --check, nothing is wrong but warnings.");
    put_term(out, "1", "Could not start, or failed.");
    put_term(out, "2", "Wrong usage.");
}

/* ---- the pages ---- */

void manual_write_program_page(struct buf *out)
{
    buf_put(out, BYTES(".TH PGTLS 1 \"\" \"pgtls\" \"pgtls\"\n"));
    put_heading(out, "NAME");
    put_paragraph(out, "pgtls - secures the wire between applications and PostgreSQL");
    put_heading(out, "SYNOPSIS");
    buf_put(out, BYTES(".B pgtls\n.I COMMAND\n.RI [ OPTION ]...\n"));
    put_heading(out, "DESCRIPTION");
    put_paragraph(out,
                  "A proxy that speaks TLS, with every sslmode of libpq, to clients on one "
                  "side and to a PostgreSQL server on the other.");
    put_commands(out);
    put_signals(out);
    put_heading(out, "ENVIRONMENT");
    put_term(out, "PGTLS_LOG", "What is logged; wins over log_level of the file.");
    put_events(out);
    put_reasons(out);
    put_exit_status(out);
    put_heading(out, "SEE ALSO");
    buf_put(out, BYTES(".BR pgtls\\-cert (1),\n.BR pgtls\\-check (1),\n.BR pgtls.toml (5)\n"));
}

/* ---- certificates ---- */

static void put_cert_words(struct buf *out)
{
    put_heading(out, "WORDS");
    for (const struct cert_word *w = cert_words(); w->word != NULL; w++) {
        struct buf usage = BUF_LIMIT(USAGE_BYTES);

        cert_write_usage(&usage, w);
        buf_put_format(out, ".SS \"%s: %s\"\n", w->word, w->summary);
        put_as_it_is(out, &usage);
    }
}

static void put_cert_files(struct buf *out)
{
    put_heading(out, "FILES");
    put_term(out, "server.crt, client.crt, ca.crt",
             "The certificate, and behind it those of the authorities above it, without the "
             "root. Mode 0644.");
    put_term(out, "server.key, client.key, ca.key",
             "The private key. Mode 0600. A file that replaces another keeps its owner.");
    put_term(out, "root.crt", "The root certificate, for the other side to trust.");
    put_term(out, "index.txt, index.txt.attr, crlnumber",
             "An authority's books, as `openssl ca` keeps them.");
    put_term(out, "ca.crl", "An authority's revocation list.");
}

void manual_write_cert_page(struct buf *out)
{
    buf_put(out, BYTES(".TH PGTLS\\-CERT 1 \"\" \"pgtls\" \"pgtls\"\n"));
    put_heading(out, "NAME");
    put_paragraph(out, "pgtls-cert - a private certificate authority, and what is wrong with a "
                       "certificate");
    put_heading(out, "SYNOPSIS");
    buf_put(out, BYTES(".B pgtls cert\n.I WORD\n.RI [ OPTION ]...\n"));
    put_heading(out, "DESCRIPTION");
    put_paragraph(out,
                  "Makes keys and certificates for PostgreSQL, Redis and pgtls itself, with "
                  "defaults that need no thought: P-256 keys, names in the subject "
                  "alternative names, 90 days for servers and clients. Files are written "
                  "together or not at all, and never over others unless --force says so.");
    put_cert_words(out);
    put_heading(out, "ENVIRONMENT");
    put_term(out, "PGTLS_CERT, PGTLS_KEY",
             "Set for the command of --deploy-hook: the files that are new.");
    put_cert_files(out);
    put_heading(out, "EXIT STATUS");
    put_term(out, "0", "Good.");
    put_term(out, "1",
             "A certificate is bad, or a file cannot be read or written, or the hook "
             "failed.");
    put_term(out, "2", "Wrong usage.");
    put_heading(out, "SEE ALSO");
    buf_put(out, BYTES(".BR pgtls (1),\n.BR openssl\\-ca (1)\n"));
}

void manual_write_file_page(struct buf *out)
{
    buf_put(out, BYTES(".TH PGTLS.TOML 5 \"\" \"pgtls\" \"pgtls\"\n"));
    put_heading(out, "NAME");
    put_paragraph(out, "pgtls.toml - the configuration of pgtls proxy");
    put_heading(out, "DESCRIPTION");
    put_paragraph(out,
                  "The file that `pgtls proxy -c` reads. `pgtls help sample` prints one to "
                  "start from.");
    conf_write_man(out, settings_tables());
    put_heading(out, "SEE ALSO");
    buf_put(out, BYTES(".BR pgtls (1)\n"));
}
